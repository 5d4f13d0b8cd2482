// Sine and cosine of every finite float, max error 2.5 ULP; NaN at infinity.
// The argument is reduced in integers (M. Payne, R. Hanek, "Radian reduction for trigonometric functions", SIGNUM
// Newsletter 18, 1983): x is an integer times a power of two, and only the bits around the binary point of its product
// with 2/pi are needed. The error of the remainder is at most half a unit in the last place for every x.

// Returns the 64 bits of a * b: (high, low).
fn mul_wide(a: u32, b: u32) -> vec2<u32> {
    let al = a & 0xffffu;
    let ah = a >> 16u;
    let bl = b & 0xffffu;
    let bh = b >> 16u;
    let low = al * bl;
    let m1 = al * bh;
    let m2 = ah * bl;
    let middle = (low >> 16u) + (m1 & 0xffffu) + (m2 & 0xffffu);
    return vec2<u32>(ah * bh + (m1 >> 16u) + (m2 >> 16u) + (middle >> 16u), (middle << 16u) | (low & 0xffffu));
}

struct Turn {
    // The remainder, |rest| <= pi / 4.
    rest: f32,
    // The number of quarter turns; only its lowest two bits are used.
    quarters: u32,
}

// Returns the bits shift .. shift + 32 of two words.
fn window(a: u32, b: u32, shift: u32) -> u32 {
    return (a << shift) | ((b >> 1u) >> (31u - shift));
}

// Returns |x| as quarter turns and a signed remainder. a is the bits of |x|, which is finite.
fn reduce_angle(a: u32) -> Turn {
    if (a < 0x3f490fdbu) { return Turn(bitcast<f32>(a), 0u); }
    // |x| = m 2^(e - 31), with the top bit of m set; e >= -1.
    let m = (a << 8u) | 0x80000000u;
    let place = (a >> 23u) - 96u; // 64 - 33 + the exponent
    // Four words of 2/pi (preceded by two words of zeros), from the word with the first significant bit.
    var w: vec4<u32>;
    switch (place >> 5u) {
        case 0u: { w = vec4<u32>(0u, 0u, 0xa2f9836eu, 0x4e441529u); }
        case 1u: { w = vec4<u32>(0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u); }
        case 2u: { w = vec4<u32>(0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u); }
        case 3u: { w = vec4<u32>(0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u); }
        default: { w = vec4<u32>(0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u); }
    }
    let shift = place & 31u;
    let p2 = mul_wide(m, window(w.z, w.w, shift));
    let p1 = mul_wide(m, window(w.y, w.z, shift));
    let middle = p2.x + p1.y;
    let carry = select(0u, 1u, middle < p2.x);
    let top = m * window(w.x, w.y, shift) + p1.x + carry;
    // The product mod 4, in 2 + 94 bits; the first 64 of the fraction are kept, rounded to the nearest quarter.
    var high = (top << 2u) | (middle >> 30u);
    var low = (middle << 2u) | (p2.y >> 30u);
    let up = high >> 31u;
    let quarters = (top >> 30u) + up;
    if (up == 1u) {
        high = ~high;
        low = 0u - low;
        if (low == 0u) { high += 1u; }
    }
    // Normalised, times pi / 2, and rounded once.
    var zeros = countLeadingZeros(high);
    var lead = high;
    if (high == 0u) {
        zeros = 32u + countLeadingZeros(low);
        lead = low << (zeros & 31u);
    } else if (zeros > 0u) {
        lead = (high << zeros) | (low >> (32u - zeros));
    }
    let product = mul_wide(lead, 0xc90fdaa2u).x;
    let drop = select(7u, 8u, product >= 0x80000000u);
    let rounded = (product >> drop) + ((product >> (drop - 1u)) & 1u);
    let unit = bitcast<f32>((96u + drop - zeros) << 23u); // 2^(drop - 31 - zeros)
    let rest = f32(rounded) * unit;
    return Turn(select(rest, -rest, up == 1u), quarters);
}

fn sin_rest(r: f32) -> f32 {
    let z = r * r;
    var q = 2.7180442430108087e-06f;
    q = fma(q, z, -0.0001983930415008217f);
    q = fma(q, z, 0.008333329111337662f);
    q = fma(q, z, -0.1666666716337204f);
    return fma(r * z, q, r);
}

fn cos_rest(r: f32) -> f32 {
    let z = r * r;
    var q = -2.720501015573973e-07f;
    q = fma(q, z, 2.4799450329737738e-05f);
    q = fma(q, z, -0.0013888883404433727f);
    q = fma(q, z, 0.0416666679084301f);
    return 1.0f + fma(z * z, q, -0.5f * z);
}

fn f32_sin(x: f32) -> f32 {
    let b = bitcast<u32>(x);
    let a = b & 0x7fffffffu;
    if (a >= 0x7f800000u) { return from_bits(select(0x7fc00000u, b, a > 0x7f800000u)); }
    if (a < 0x39000000u) { return x; }
    let turn = reduce_angle(a);
    let value = select(sin_rest(turn.rest), cos_rest(turn.rest), (turn.quarters & 1u) == 1u);
    return bitcast<f32>(bitcast<u32>(value) ^ ((turn.quarters & 2u) << 30u) ^ (b & 0x80000000u));
}

fn f32_cos(x: f32) -> f32 {
    let b = bitcast<u32>(x);
    let a = b & 0x7fffffffu;
    if (a >= 0x7f800000u) { return from_bits(select(0x7fc00000u, b, a > 0x7f800000u)); }
    let turn = reduce_angle(a);
    let value = select(cos_rest(turn.rest), sin_rest(turn.rest), (turn.quarters & 1u) == 1u);
    return bitcast<f32>(bitcast<u32>(value) ^ (((turn.quarters + 1u) & 2u) << 30u));
}
