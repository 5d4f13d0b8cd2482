// Rounding to integers and signs of floats, by their bits.

fn f32_trunc(x: f32) -> f32 {
    let b = bitcast<u32>(x);
    let exponent = (b >> 23u) & 0xffu;
    // The bits of the fraction: all 23 at exponent 127 (1 to 2), none from 150 on, where all floats are integers,
    // infinite or NaN.
    let fraction = 0x7fffffu >> (clamp(exponent, 127u, 150u) - 127u);
    return bitcast<f32>(select(b & ~fraction, b & 0x80000000u, exponent < 127u));
}

fn f32_floor(x: f32) -> f32 {
    let t = f32_trunc(x);
    let b = bitcast<u32>(x);
    let lower = (b >> 31u) == 1u && b != bitcast<u32>(t);
    return select(t, t - 1.0f, lower);
}

fn f32_ceil(x: f32) -> f32 {
    return f32_neg(f32_floor(f32_neg(x)));
}

// Ties round to even.
fn f32_round(x: f32) -> f32 {
    let a = f32_abs(x);
    // Adding 2^23 rounds to an integer.
    let rounded = hide(a + 8388608.0f) - 8388608.0f;
    let large = (bitcast<u32>(x) & 0x7fffffffu) >= 0x4b000000u;
    return f32_copysign(select(rounded, a, large), x);
}

fn f32_copysign(x: f32, y: f32) -> f32 {
    return bitcast<f32>((bitcast<u32>(x) & 0x7fffffffu) | (bitcast<u32>(y) & 0x80000000u));
}

fn f32_sign(x: f32) -> f32 {
    let b = bitcast<u32>(x);
    let one = (b & 0x80000000u) | 0x3f800000u;
    let nonzero = select(0u, one, (b & 0x7fffffffu) != 0u);
    return bitcast<f32>(select(nonzero, b, is_nan_bits(b)) ^ zero());
}

// Return the smaller and the larger number: the other one if one is NaN, y if they are equal.
fn f32_fmin(x: f32, y: f32) -> f32 {
    let first = f32_less(x, y) || is_nan_bits(bitcast<u32>(y));
    return bitcast<f32>(select(bitcast<u32>(y), bitcast<u32>(x), first));
}

fn f32_fmax(x: f32, y: f32) -> f32 {
    let first = f32_less(y, x) || is_nan_bits(bitcast<u32>(y));
    return bitcast<f32>(select(bitcast<u32>(y), bitcast<u32>(x), first));
}
