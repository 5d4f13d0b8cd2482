// Each output, or each segment of one, has 256 lanes. A lane combines every 256-th element, in blocks of
// 16. A tree combines the lanes.
struct Params { v: array<vec4<u32>, 4> }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> in0: array<f32>;

fn zero() -> u32 {
    return p.v[0].x;
}


var<workgroup> tree: array<f32, 256>;

fn combine(x: f32, y: f32) -> f32 {
    return (x + y);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let lane = t % 256u;
    let item = (group.y * groups.x + group.x) * 1u + t / 256u;
    let here = item < p.v[0].y;
    let identity = bitcast<f32>(p.v[1].y);
    var total = identity;
    let o = item % p.v[0].z;
    let segment = item / p.v[0].z;
    let c0 = o;
    let base0 = p.v[2].z + c0 * p.v[2].w;
    if (here) {
        var j = segment * p.v[0].w + lane;
        let end = min(segment * p.v[0].w + p.v[0].w, p.v[1].x);
        while (j < end) {
            var block = identity;
            for (var s = 0u; s < 16u; s += 1u) {
                if (j >= end) { break; }
                let k1 = j % p.v[2].y;
                let krest1 = j / p.v[2].y;
                let k0 = krest1;
                let x0 = in0[base0 + k0 * p.v[3].x + k1 * p.v[3].y];
                let b0 = (x0 * x0);
                block = combine(block, b0);
                j += 256u;
            }
            total = combine(total, block);
        }
    }
    tree[t] = total;
    workgroupBarrier();
    if (lane < 128u) { tree[t] = combine(tree[t], tree[t + 128u]); }
    workgroupBarrier();
    if (lane < 64u) { tree[t] = combine(tree[t], tree[t + 64u]); }
    workgroupBarrier();
    if (lane < 32u) { tree[t] = combine(tree[t], tree[t + 32u]); }
    workgroupBarrier();
    if (lane < 16u) { tree[t] = combine(tree[t], tree[t + 16u]); }
    workgroupBarrier();
    if (lane < 8u) { tree[t] = combine(tree[t], tree[t + 8u]); }
    workgroupBarrier();
    if (lane < 4u) { tree[t] = combine(tree[t], tree[t + 4u]); }
    workgroupBarrier();
    if (lane < 2u) { tree[t] = combine(tree[t], tree[t + 2u]); }
    workgroupBarrier();
    if (lane < 1u) { tree[t] = combine(tree[t], tree[t + 1u]); }
    workgroupBarrier();
    if (here && lane == 0u) {
        let a0 = sqrt(tree[t]);
        out[p.v[1].z + segment * p.v[1].w + c0 * p.v[2].x] = a0;
    }
}
