// x to the power of y. Max error 2 ULP. Special values are those of C: x^0 and 1^y are 1 even for NaN, and a negative x
// with a y that is not an integer gives NaN. log2 x and its product with y are unevaluated sums of two floats, the
// first with 12 bits, so that the products of first floats are exact.

// Returns x with its 12 leading bits.
fn lead(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
}

// Returns x^y for positive finite x and finite y, where neither x nor the result is special.
fn pow_positive(bits: u32, given: f32) -> f32 {
    var b = bits;
    var e = 0;
    if (b < 0x00800000u) {
        let shift = countLeadingZeros(b) - 8u;
        b = b << shift;
        e = -i32(shift);
    }
    let t = b + (0x3f800000u - 0x3f3504f3u);
    e += i32(t >> 23u) - 127;
    let m = bitcast<f32>((t & 0x007fffffu) + 0x3f3504f3u);
    // s = (m - 1) / (m + 1) in two parts.
    let f = m - 1.0f;
    let d = m + 1.0f;
    let d1 = lead(d);
    let d2 = m - hide(d1 - 1.0f);
    let s = f / d;
    let s1 = lead(s);
    let s2 = hide(hide(f - s1 * d1) - s1 * d2) / d;
    // log m = 2/3 s (3 + s^2 + R), R fitted to relative error 2^-38.
    let z = s * s;
    var q = 0.29206234216690063f;
    q = fma(q, z, 0.3327726423740387f);
    q = fma(q, z, 0.4285781681537628f);
    q = fma(q, z, 0.5999999642372131f);
    let r = fma(z * z, q, s2 * (s1 + s));
    let z1 = s1 * s1;
    let c1 = lead(3.0f + z1 + r);
    let c2 = r - hide(hide(c1 - 3.0f) - z1);
    let u = s1 * c1;
    let v = fma(s2, c1, c2 * s);
    let w1 = lead(u + v);
    let w2 = v - hide(w1 - u);
    // log2 x = e + w * 2 / (3 ln 2)
    let l1 = 0.961669921875f * w1;
    let l2 = fma(0.00012677205086220056f, w1, w2 * 0.9617967009544373f);
    let n = f32(e);
    let g1 = lead(hide(l1 + l2) + n);
    let g2 = l2 - hide(hide(g1 - n) - l1);
    // y log2 x. A y above 2^31 in magnitude gives 0 or infinity for every x except 1.
    let huge = (bitcast<u32>(given) & 0x7fffffffu) > 0x4f000000u;
    let y = select(given, bitcast<f32>(0x4f000000u | (bitcast<u32>(given) & 0x80000000u)), huge);
    let y1 = lead(y);
    let p1 = y1 * g1;
    let p2 = fma(hide(y - y1), g1, y * g2);
    let total = hide(p1 + p2);
    let over = total > 160.0f;
    let under = total < -160.0f;
    let k = select(round(total), 0.0f, over || under);
    let rest = hide(p1 - k) + p2;
    let result = scale_exp2(exp_reduced(select(rest, 0.0f, over || under) * 0.6931471824645996f), i32(k));
    return bitcast<f32>(select(select(bitcast<u32>(result), 0u, under), 0x7f800000u ^ zero(), over));
}

// Returns the parity of a float from the bits of its magnitude: 1 odd, 2 even, 0 if it is not an integer.
fn parity(a: u32) -> u32 {
    if (a >= 0x4b800000u) { return 2u; }
    if (a < 0x3f800000u) { return 0u; }
    let shift = 150u - (a >> 23u);
    let m = (a & 0x007fffffu) | 0x00800000u;
    if ((m & ((1u << shift) - 1u)) != 0u) { return 0u; }
    return 2u - ((m >> shift) & 1u);
}

fn f32_pow(x: f32, y: f32) -> f32 {
    let bx = bitcast<u32>(x);
    let by = bitcast<u32>(y);
    let ax = bx & 0x7fffffffu;
    let ay = by & 0x7fffffffu;
    if (ay == 0u || bx == 0x3f800000u) { return 1.0f; }
    if (ax > 0x7f800000u) { return x; }
    if (ay > 0x7f800000u) { return y; }
    let grows = (by >> 31u) == 0u;
    if (ay == 0x7f800000u) {
        if (ax == 0x3f800000u) { return 1.0f; }
        return from_bits(select(0u, 0x7f800000u, (ax > 0x3f800000u) == grows));
    }
    let kind = parity(ay);
    let negative = (bx >> 31u) == 1u;
    let flip = select(0u, 0x80000000u, negative && kind == 1u);
    if (ax == 0u || ax == 0x7f800000u) {
        return from_bits(flip | select(0u, 0x7f800000u, (ax != 0u) == grows));
    }
    if (negative && kind == 0u) { return from_bits(0x7fc00000u); }
    return bitcast<f32>(bitcast<u32>(pow_positive(ax, y)) ^ flip);
}
