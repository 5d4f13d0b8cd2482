// One invocation for each element of the output.
{{prelude}}
@compute @workgroup_size({{threads}})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let i = (group.y * groups.x + group.x) * {{threads}}u + t;
    if (i >= {{count}}) { return; }
{{body}}}
