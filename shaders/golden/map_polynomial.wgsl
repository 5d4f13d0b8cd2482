// One invocation for each element of the output.
struct Params { v: array<vec4<u32>, 3> }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> in0: array<f32>;

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

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + t;
    if (i >= p.v[0].y) { return; }
    let c0 = i;
    let at = p.v[0].z + i;
    let x0 = in0[p.v[1].x + i];
    let v0 = hide((x0 * x0));
    let v1 = hide((bitcast<f32>(p.v[1].z) * v0));
    let v2 = hide((bitcast<f32>(p.v[1].w) * x0));
    let v3 = hide((v1 + v2));
    let v4 = (v3 + bitcast<f32>(p.v[2].x));
    out[at] = v4;
}
