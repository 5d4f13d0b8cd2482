//! The shared parts of all kernels: parameter words, bindings, and templates.

use crate::render::{Snippets, from_word};
use polyarray_core::{DType, Scalar};
use std::fmt::Write;

/// The number of invocations of a workgroup. Every implementation supports it.
pub(crate) const THREADS: u32 = 256;

/// The WGSL of a kernel and a description of its bindings.
pub(crate) struct Source {
    pub text: String,
    /// Whether each storage buffer is only read, in order from binding 1.
    pub read_only: Vec<bool>,
    /// The number of parameter words, at binding 0.
    pub words: usize,
}

/// Assigns places in the uniform block to parameters: 32-bit words in order. A launch passes the values in the same
/// order.
///
/// The first word is always zero. It hides values from the optimiser.
pub(crate) struct Words(usize);

impl Words {
    pub fn new() -> Words {
        Words(1)
    }

    /// Returns the next word, as an expression of type u32.
    pub fn next(&mut self) -> String {
        let at = self.0;
        self.0 += 1;
        format!("p.v[{}].{}", at / 4, ["x", "y", "z", "w"][at % 4])
    }

    pub fn many(&mut self, n: usize) -> Vec<String> {
        (0..n).map(|_| self.next()).collect()
    }

    /// Returns the parameters of a program, as expressions of their dtypes.
    pub fn params(&mut self, dtypes: &[DType]) -> Vec<String> {
        dtypes.iter().map(|&d| from_word(d, &self.next())).collect()
    }

    pub fn count(&self) -> usize {
        self.0
    }
}

/// Returns the word that holds the bits of a parameter.
pub(crate) fn param_word(scalar: &Scalar) -> u32 {
    let mut word = [0; 4];
    word[..scalar.bytes().len()].copy_from_slice(scalar.bytes());
    u32::from_le_bytes(word)
}

/// Returns the declarations of the uniform block and of the storage buffers `(name, element type, read only)`, then the
/// snippets.
pub(crate) fn prelude(words: usize, buffers: &[(String, String, bool)], snippets: Snippets) -> String {
    let mut out = format!(
        "struct Params {{ v: array<vec4<u32>, {}> }}\n@group(0) @binding(0) var<uniform> p: Params;\n",
        words.div_ceil(4)
    );
    for (i, (name, element, read_only)) in buffers.iter().enumerate() {
        let access = if *read_only { "read" } else { "read_write" };
        writeln!(out, "@group(0) @binding({}) var<storage, {access}> {name}: array<{element}>;", i + 1)
            .expect("writing to a String");
    }
    out += "\nfn zero() -> u32 {\n    return p.v[0].x;\n}\n\n";
    out + &snippets.text()
}

/// Returns `template` with every `{{name}}` replaced.
///
/// # Panics
/// If a name has no replacement, which is a bug of the generator.
pub(crate) fn fill(template: &str, places: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, tail) = after.split_once("}}").expect("every \"{{\" of a template has a \"}}\"");
        let text = places
            .iter()
            .find(|(n, _)| *n == name)
            .unwrap_or_else(|| panic!("the template contains {name}, for which no replacement was passed"))
            .1;
        out += before;
        out += text;
        rest = tail;
    }
    out + rest
}

/// Returns statements that split the index `from` into coordinates `{prefix}0 ..`. `lens` holds the lengths of all axes
/// but the first.
pub(crate) fn coordinates(from: &str, prefix: &str, lens: &[String], indent: &str) -> String {
    let mut out = String::new();
    let mut rest = from.to_string();
    for (axis, len) in lens.iter().enumerate().rev() {
        let axis = axis + 1;
        write!(out, "{indent}let {prefix}{axis} = {rest} % {len};\n{indent}let {prefix}rest{axis} = {rest} / {len};\n")
            .expect("writing to a String");
        rest = format!("{prefix}rest{axis}");
    }
    writeln!(out, "{indent}let {prefix}0 = {rest};").expect("writing to a String");
    out
}

/// Returns `base + prefix0 * strides[0] + ..`.
pub(crate) fn position(base: &str, prefix: &str, strides: &[String]) -> String {
    strides.iter().enumerate().fold(base.to_string(), |sum, (axis, s)| format!("{sum} + {prefix}{axis} * {s}"))
}

/// Converts a stride to a word. Multiplication and addition modulo 2^32 give the right position, because positions
/// inside a binding fit 32 bits.
pub(crate) fn stride_word(stride: isize) -> u32 {
    stride as u32
}
