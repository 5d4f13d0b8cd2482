// One invocation for each element of the output.
struct Params { v: array<vec4<u32>, 3> }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> in1: array<f32>;

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

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + t;
    if (i >= p.v[0].y) { return; }
    let c1 = i % p.v[0].z;
    let crest1 = i / p.v[0].z;
    let c0 = crest1;
    let at = p.v[0].w + c0 * p.v[1].x + c1 * p.v[1].y;
    let x0 = out[at];
    let x1 = in1[p.v[1].z + c0 * p.v[1].w + c1 * p.v[2].x];
    let v0 = f32_less(x0, x1);
    let v1 = f32_exp(x0);
    let v2 = select(x1, v1, v0);
    out[at] = v2;
}
