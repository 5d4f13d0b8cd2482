// Casts. A float is truncated to an integer and saturates; NaN gives 0. An integer is rounded to the nearest float,
// ties to even.

fn f32_to_i32(x: f32) -> i32 {
    let b = bitcast<u32>(x);
    let fits = (b & 0x7fffffffu) < 0x4f000000u; // |x| < 2^31
    let whole = i32(select(0.0f, x, fits));
    let limit = bitcast<i32>(0x7fffffffu + (b >> 31u)); // the largest integer, or the smallest if x is negative
    return select(select(limit, 0, is_nan_bits(b)), whole, fits);
}

fn f32_to_u32(x: f32) -> u32 {
    let b = bitcast<u32>(x);
    let fits = b < 0x4f800000u; // 0 <= x < 2^32, by the order of bits
    let whole = u32(select(0.0f, x, fits));
    let below = (b >> 31u) == 1u || is_nan_bits(b);
    return select(select(0xffffffffu, 0u, below), whole, fits);
}

// Both halves are exact, so only the sum rounds. The conversion of a driver may round in either direction.
fn i32_to_f32(x: i32) -> f32 {
    return f32(x >> 16u) * 65536.0f + f32(x & 0xffff);
}

fn u32_to_f32(x: u32) -> f32 {
    return f32(x >> 16u) * 65536.0f + f32(x & 0xffffu);
}
