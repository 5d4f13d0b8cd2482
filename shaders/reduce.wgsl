// Each output, or each segment of one, has {{width}} lanes. A lane combines every {{width}}-th element, in blocks of
// 16. A tree combines the lanes.
{{prelude}}
{{tree_memory}}
fn combine(x: {{acc}}, y: {{acc}}) -> {{acc}} {
    return {{combine}};
}

@compute @workgroup_size({{threads}})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let lane = t % {{width}}u;
    let item = (group.y * groups.x + group.x) * {{items_per_group}}u + t / {{width}}u;
    let here = item < {{items}};
    let identity = {{identity}};
    var total = identity;
    let o = item % {{outputs}};
    let segment = item / {{outputs}};
{{outer}}    if (here) {
        var j = segment * {{segment_len}} + lane;
        let end = min(segment * {{segment_len}} + {{segment_len}}, {{inner_len}});
        while (j < end) {
            var block = identity;
            for (var s = 0u; s < 16u; s += 1u) {
                if (j >= end) { break; }
{{element}}                block = combine(block, {{value}});
                j += {{width}}u;
            }
            total = combine(total, block);
        }
    }
{{tree}}    if (here && lane == 0u) {
{{after}}    }
}
