// Each workgroup computes a tile of 64 x 64 results. Strips of 16 along k of both operands are
// loaded into workgroup memory; k is the outermost axis there.
struct Params { v: array<vec4<u32>, 3> }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> left: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> right: array<vec4<f32>>;

fn zero() -> u32 {
    return p.v[0].x;
}

// Floats by their bits. A driver may assume that NaN and infinity do not occur, may flush subnormals in comparisons,
// and may define min and max differently. Integer operations have one meaning. Each kernel defines zero(), a zero that
// the compiler cannot evaluate.

// Returns x in a form that the optimiser cannot simplify, for example in (a + x) - a.
fn hide(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ zero());
}

// Returns the float with these bits, which WGSL does not accept as a constant (NaN, infinities).
fn from_bits(b: u32) -> f32 {
    return bitcast<f32>(b ^ zero());
}

fn is_nan_bits(b: u32) -> bool {
    return (b & 0x7fffffffu) > 0x7f800000u;
}

// Returns an integer with the order of the floats; -0 gives 0. Not defined for NaN.
fn order_of(b: u32) -> i32 {
    let magnitude = i32(b & 0x7fffffffu);
    return select(magnitude, -magnitude, (b >> 31u) == 1u);
}

fn f32_nonzero(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) != 0u;
}

fn f32_neg(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ 0x80000000u);
}

fn f32_abs(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) & 0x7fffffffu);
}

fn f32_equal(x: f32, y: f32) -> bool {
    let a = bitcast<u32>(x);
    let b = bitcast<u32>(y);
    return !is_nan_bits(a) && !is_nan_bits(b) && order_of(a) == order_of(b);
}

fn f32_less(x: f32, y: f32) -> bool {
    let a = bitcast<u32>(x);
    let b = bitcast<u32>(y);
    return !is_nan_bits(a) && !is_nan_bits(b) && order_of(a) < order_of(b);
}

fn f32_less_equal(x: f32, y: f32) -> bool {
    let a = bitcast<u32>(x);
    let b = bitcast<u32>(y);
    return !is_nan_bits(a) && !is_nan_bits(b) && order_of(a) <= order_of(b);
}

// Returns the smaller number: NaN if either is NaN, y if they are equal.
fn f32_minimum(x: f32, y: f32) -> f32 {
    let a = bitcast<u32>(x);
    let b = bitcast<u32>(y);
    let first = is_nan_bits(a) || (!is_nan_bits(b) && order_of(a) < order_of(b));
    return bitcast<f32>(select(b, a, first));
}

// Returns the larger number: NaN if either is NaN, y if they are equal.
fn f32_maximum(x: f32, y: f32) -> f32 {
    let a = bitcast<u32>(x);
    let b = bitcast<u32>(y);
    let first = is_nan_bits(a) || (!is_nan_bits(b) && order_of(a) > order_of(b));
    return bitcast<f32>(select(b, a, first));
}

var<workgroup> left_strip: array<vec4<f32>, 272>;
var<workgroup> right_strip: array<vec4<f32>, 272>;

fn finish(sum: f32, xx: f32, yy: f32) -> f32 {
    let norm = sqrt(xx) * sqrt(yy);
    var value = from_bits(0x7fc00000u);
    if (norm != 0.0f) { value = 1.0f - sum / norm; }
    value = select(value, 0.0f, value < 0.0f);
    value = select(value, 2.0f, value > 2.0f);
    // Roots and quotients are not exact, and the three sums of equal points are equal.
    value = select(value, 0.0f, norm != 0.0f && sum == xx && sum == yy);
    return value;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let m = p.v[0].y;
    let n = p.v[0].z;
    let k = p.v[0].w;
    let row0 = group.y * 64u;
    let col0 = group.x * 64u;
    let ly = t / 16u;
    let lx = t % 16u;
    let left_base = p.v[1].x;
    let right_base = p.v[1].w;
    let out_base = p.v[2].z;
    var sum0_0 = vec4<f32>();
    var sum1_0 = vec4<f32>();
    var sum2_0 = vec4<f32>();
    var sum3_0 = vec4<f32>();
    var xx0 = vec4<f32>();
    var yy0 = vec4<f32>();
    for (var k0 = 0u; k0 < k; k0 += 16u) {
        if (t < 64u) {
            let e = t + 0u; let kk = e % 4u * 4u; let o = e / 4u * 4u;
            var v0 = vec4<f32>();
            if (row0 + o + 0u < m && k0 + kk < k) { v0 = left[(left_base + (row0 + o + 0u) * p.v[1].y + (k0 + kk) * p.v[1].z) >> 2u]; }
            var v1 = vec4<f32>();
            if (row0 + o + 1u < m && k0 + kk < k) { v1 = left[(left_base + (row0 + o + 1u) * p.v[1].y + (k0 + kk) * p.v[1].z) >> 2u]; }
            var v2 = vec4<f32>();
            if (row0 + o + 2u < m && k0 + kk < k) { v2 = left[(left_base + (row0 + o + 2u) * p.v[1].y + (k0 + kk) * p.v[1].z) >> 2u]; }
            var v3 = vec4<f32>();
            if (row0 + o + 3u < m && k0 + kk < k) { v3 = left[(left_base + (row0 + o + 3u) * p.v[1].y + (k0 + kk) * p.v[1].z) >> 2u]; }
            left_strip[(kk + 0u) * 17u + (o >> 2u)] = vec4<f32>(v0.x, v1.x, v2.x, v3.x);
            left_strip[(kk + 1u) * 17u + (o >> 2u)] = vec4<f32>(v0.y, v1.y, v2.y, v3.y);
            left_strip[(kk + 2u) * 17u + (o >> 2u)] = vec4<f32>(v0.z, v1.z, v2.z, v3.z);
            left_strip[(kk + 3u) * 17u + (o >> 2u)] = vec4<f32>(v0.w, v1.w, v2.w, v3.w);
        }
        if (t < 64u) {
            let e = t + 0u; let kk = e % 4u * 4u; let o = e / 4u * 4u;
            var v0 = vec4<f32>();
            if (col0 + o + 0u < n && k0 + kk < k) { v0 = right[(right_base + (col0 + o + 0u) * p.v[2].x + (k0 + kk) * p.v[2].y) >> 2u]; }
            var v1 = vec4<f32>();
            if (col0 + o + 1u < n && k0 + kk < k) { v1 = right[(right_base + (col0 + o + 1u) * p.v[2].x + (k0 + kk) * p.v[2].y) >> 2u]; }
            var v2 = vec4<f32>();
            if (col0 + o + 2u < n && k0 + kk < k) { v2 = right[(right_base + (col0 + o + 2u) * p.v[2].x + (k0 + kk) * p.v[2].y) >> 2u]; }
            var v3 = vec4<f32>();
            if (col0 + o + 3u < n && k0 + kk < k) { v3 = right[(right_base + (col0 + o + 3u) * p.v[2].x + (k0 + kk) * p.v[2].y) >> 2u]; }
            right_strip[(kk + 0u) * 17u + (o >> 2u)] = vec4<f32>(v0.x, v1.x, v2.x, v3.x);
            right_strip[(kk + 1u) * 17u + (o >> 2u)] = vec4<f32>(v0.y, v1.y, v2.y, v3.y);
            right_strip[(kk + 2u) * 17u + (o >> 2u)] = vec4<f32>(v0.z, v1.z, v2.z, v3.z);
            right_strip[(kk + 3u) * 17u + (o >> 2u)] = vec4<f32>(v0.w, v1.w, v2.w, v3.w);
        }
        workgroupBarrier();
        {
            let a0 = left_strip[0u + ly];
            let b0 = right_strip[0u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        {
            let a0 = left_strip[17u + ly];
            let b0 = right_strip[17u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        {
            let a0 = left_strip[34u + ly];
            let b0 = right_strip[34u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        {
            let a0 = left_strip[51u + ly];
            let b0 = right_strip[51u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        {
            let a0 = left_strip[68u + ly];
            let b0 = right_strip[68u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        {
            let a0 = left_strip[85u + ly];
            let b0 = right_strip[85u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        {
            let a0 = left_strip[102u + ly];
            let b0 = right_strip[102u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        {
            let a0 = left_strip[119u + ly];
            let b0 = right_strip[119u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        {
            let a0 = left_strip[136u + ly];
            let b0 = right_strip[136u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        {
            let a0 = left_strip[153u + ly];
            let b0 = right_strip[153u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        {
            let a0 = left_strip[170u + ly];
            let b0 = right_strip[170u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        {
            let a0 = left_strip[187u + ly];
            let b0 = right_strip[187u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        {
            let a0 = left_strip[204u + ly];
            let b0 = right_strip[204u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        {
            let a0 = left_strip[221u + ly];
            let b0 = right_strip[221u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        {
            let a0 = left_strip[238u + ly];
            let b0 = right_strip[238u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        {
            let a0 = left_strip[255u + ly];
            let b0 = right_strip[255u + lx];
            sum0_0 = fma(vec4<f32>(a0.x), b0, sum0_0);
            sum1_0 = fma(vec4<f32>(a0.y), b0, sum1_0);
            sum2_0 = fma(vec4<f32>(a0.z), b0, sum2_0);
            sum3_0 = fma(vec4<f32>(a0.w), b0, sum3_0);
            xx0 = fma(a0, a0, xx0);
            yy0 = fma(b0, b0, yy0);
        }
        workgroupBarrier();
    }
    {
        let row = row0 + 0u + ly * 4u;
        if (row < m) {
            let column0 = col0 + 0u + lx * 4u;
            if (column0 < n) { out[(out_base + row * p.v[2].w + column0) >> 2u] = vec4<f32>(finish(sum0_0.x, xx0.x, yy0.x), finish(sum0_0.y, xx0.x, yy0.y), finish(sum0_0.z, xx0.x, yy0.z), finish(sum0_0.w, xx0.x, yy0.w)); }
        }
    }
    {
        let row = row0 + 1u + ly * 4u;
        if (row < m) {
            let column0 = col0 + 0u + lx * 4u;
            if (column0 < n) { out[(out_base + row * p.v[2].w + column0) >> 2u] = vec4<f32>(finish(sum1_0.x, xx0.y, yy0.x), finish(sum1_0.y, xx0.y, yy0.y), finish(sum1_0.z, xx0.y, yy0.z), finish(sum1_0.w, xx0.y, yy0.w)); }
        }
    }
    {
        let row = row0 + 2u + ly * 4u;
        if (row < m) {
            let column0 = col0 + 0u + lx * 4u;
            if (column0 < n) { out[(out_base + row * p.v[2].w + column0) >> 2u] = vec4<f32>(finish(sum2_0.x, xx0.z, yy0.x), finish(sum2_0.y, xx0.z, yy0.y), finish(sum2_0.z, xx0.z, yy0.z), finish(sum2_0.w, xx0.z, yy0.w)); }
        }
    }
    {
        let row = row0 + 3u + ly * 4u;
        if (row < m) {
            let column0 = col0 + 0u + lx * 4u;
            if (column0 < n) { out[(out_base + row * p.v[2].w + column0) >> 2u] = vec4<f32>(finish(sum3_0.x, xx0.w, yy0.x), finish(sum3_0.y, xx0.w, yy0.y), finish(sum3_0.z, xx0.w, yy0.z), finish(sum3_0.w, xx0.w, yy0.w)); }
        }
    }
}
