// Casts: floats become integers by truncation that saturates, NaN gives 0; integers become floats rounded to nearest, half to even.

fn f32_to_i32(x: f32) -> i32 {
    let b = bitcast<u32>(x);
    let fits = (b & 0x7fffffffu) < 0x4f000000u; // |x| < 2^31
    let whole = i32(select(0.0f, x, fits));
    let limit = bitcast<i32>(0x7fffffffu + (b >> 31u)); // the largest, or the smallest where x is negative
    return select(select(limit, 0, is_nan_bits(b)), whole, fits);
}

fn f32_to_u32(x: f32) -> u32 {
    let b = bitcast<u32>(x);
    let fits = b < 0x4f800000u; // 0 <= x < 2^32, by the order of bits
    let whole = u32(select(0.0f, x, fits));
    let below = (b >> 31u) == 1u || is_nan_bits(b);
    return select(select(0xffffffffu, 0u, below), whole, fits);
}

// The halves are exact, so the sum is the one rounding; a driver's own conversion may round either way.
fn i32_to_f32(x: i32) -> f32 {
    return f32(x >> 16u) * 65536.0f + f32(x & 0xffff);
}

fn u32_to_f32(x: u32) -> f32 {
    return f32(x >> 16u) * 65536.0f + f32(x & 0xffffu);
}
