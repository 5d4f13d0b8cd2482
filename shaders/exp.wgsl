// e^x. Max error 2 ULP over all floats; NaN, infinities, overflow and underflow as in IEEE 754.
// x = n ln 2 + r, |r| <= ln 2 / 2. The polynomial is fitted to (e^r - 1 - r) / r^2 (relative error of e^r below 2^-29).

// x * 2^n for |n| <= 250, in two steps, so that results below the normal range round once.
fn scale_exp2(x: f32, n: i32) -> f32 {
    let half = n >> 1u;
    let first = bitcast<f32>(u32(half + 127) << 23u);
    let second = bitcast<f32>(u32(n - half + 127) << 23u);
    return hide(x * first) * second;
}

// e^r for |r| <= 0.35.
fn exp_reduced(r: f32) -> f32 {
    var q = 0.00019789551151916385f;
    q = fma(q, r, 0.0013945772079750896f);
    q = fma(q, r, 0.008333503268659115f);
    q = fma(q, r, 0.04166628047823906f);
    q = fma(q, r, 0.1666666567325592f);
    q = fma(q, r, 0.5f);
    return 1.0f + fma(r * r, q, r);
}

fn f32_exp(x: f32) -> f32 {
    let b = bitcast<u32>(x);
    let moderate = (b & 0x7fffffffu) < 0x43000000u; // |x| < 128; otherwise the result is 0, infinity or NaN
    let y = select(0.0f, x, moderate);
    let n = round(y * 1.4426950216293335f);
    // The first product is exact: the high part of ln 2 has 9 bits, n at most 8.
    let r = hide(y - n * 0.69140625f) - n * 0.0017409306019544601f;
    let result = scale_exp2(exp_reduced(r), i32(n));
    let beyond = select(select(0x7f800000u, 0u, (b >> 31u) == 1u), b, is_nan_bits(b));
    return bitcast<f32>(select(beyond ^ zero(), bitcast<u32>(result), moderate));
}
