// One invocation for each element of the output.
struct Params { v: array<vec4<u32>, 2> }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@group(0) @binding(2) var<storage, read> in0: array<u32>;

fn zero() -> u32 {
    return p.v[0].x;
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
    let x0 = in0[p.v[1].x + c0 * p.v[1].y];
    out[at] = x0;
}
