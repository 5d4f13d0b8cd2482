// Each workgroup computes a tile of {{rows}} x {{columns}} results. Strips of {{depth}} along k of both operands are
// loaded into workgroup memory; k is the outermost axis there.
{{prelude}}
var<workgroup> left_strip: array<vec4<{{type}}>, {{left_len}}>;
var<workgroup> right_strip: array<vec4<{{type}}>, {{right_len}}>;

{{finish}}
@compute @workgroup_size({{threads}})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let m = {{m}};
    let n = {{n}};
    let k = {{k}};
    let row0 = group.y * {{rows}}u;
    let col0 = group.x * {{columns}}u;
    let ly = t / {{across}}u;
    let lx = t % {{across}}u;
{{batch}}{{declare}}    for (var k0 = 0u; k0 < k; k0 += {{depth}}u) {
{{load}}        workgroupBarrier();
{{multiply}}        workgroupBarrier();
    }
{{store}}}
