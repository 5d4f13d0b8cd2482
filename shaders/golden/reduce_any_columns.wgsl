// Each output, or each segment of one, has 1 lanes. A lane combines every 1-th element, in blocks of
// 16. A tree combines the lanes.
struct Params { v: array<vec4<u32>, 3> }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@group(0) @binding(2) var<storage, read> in0: array<u32>;

fn zero() -> u32 {
    return p.v[0].x;
}



fn combine(x: u32, y: u32) -> u32 {
    return max(x, y);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let lane = t % 1u;
    let item = (group.y * groups.x + group.x) * 256u + t / 1u;
    let here = item < p.v[0].y;
    let identity = p.v[1].y;
    var total = identity;
    let o = item % p.v[0].z;
    let segment = item / p.v[0].z;
    let c0 = o;
    let base0 = p.v[2].y + c0 * p.v[2].z;
    if (here) {
        var j = segment * p.v[0].w + lane;
        let end = min(segment * p.v[0].w + p.v[0].w, p.v[1].x);
        while (j < end) {
            var block = identity;
            for (var s = 0u; s < 16u; s += 1u) {
                if (j >= end) { break; }
                let k0 = j;
                let x0 = (in0[base0 + k0 * p.v[2].w] != 0u);
                block = combine(block, select(0u, 1u, x0));
                j += 1u;
            }
            total = combine(total, block);
        }
    }
    if (here && lane == 0u) {
        out[p.v[1].z + segment * p.v[1].w + c0 * p.v[2].x] = select(0u, 1u, (total != 0u));
    }
}
