// The natural logarithm. Max error 1 ULP over all positive floats, subnormal ones included; -infinity at zero, NaN for
// negative x. x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2); the polynomial is fitted to
// (log(1 + f) - f + f^2 / 2) / f^3 (relative error below 2^-28).

fn f32_log(x: f32) -> f32 {
    let given = bitcast<u32>(x);
    var b = given;
    var e = 0;
    if (b < 0x00800000u) {
        let shift = countLeadingZeros(b) - 8u;
        b = b << shift;
        e = -i32(shift);
    }
    let t = b + (0x3f800000u - 0x3f3504f3u);
    e += i32(t >> 23u) - 127;
    let f = bitcast<f32>((t & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    var q = 0.06749726831912994f;
    q = fma(q, f, -0.11678601056337357f);
    q = fma(q, f, 0.1188831627368927f);
    q = fma(q, f, -0.12405040860176086f);
    q = fma(q, f, 0.1421944797039032f);
    q = fma(q, f, -0.16668029129505157f);
    q = fma(q, f, 0.20002126693725586f);
    q = fma(q, f, -0.25000008940696716f);
    q = fma(q, f, 0.3333331346511841f);
    let z = f * f;
    let n = f32(e);
    let low = fma(f * z, q, n * 0.0017409306019544601f) - 0.5f * z;
    let result = hide(f + low) + n * 0.69140625f;
    // Zeros give -infinity and negative numbers NaN; infinity and NaN are returned.
    let below = select(0x7fc00000u, given, is_nan_bits(given));
    let outside = select(select(given, below, given > 0x7f800000u), 0xff800000u, (given & 0x7fffffffu) == 0u);
    let inside = given - 1u < 0x7f7fffffu; // 0 < x < infinity
    return bitcast<f32>(select(outside ^ zero(), bitcast<u32>(result), inside));
}
