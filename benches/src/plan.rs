//! The plan of a comparison: which cases are measured at which sizes, and how the tables group them.

use crate::cases::{CASES, Case, Group, Kernel, OVERVIEW, SMALL};
use crate::compare::{Effort, Options};
use crate::machine;
use crate::table::show_shape;
use polyarray::DType;

/// A case with one dtype, and the sizes to run it at.
pub(crate) struct Job {
    pub case: &'static Case,
    pub dtype: DType,
    pub shapes: Vec<Vec<usize>>,
}

/// Jobs that are measured one after another.
pub(crate) struct Block {
    /// The title of the table that shows all jobs together; `None` if each job has its own table.
    pub title: Option<&'static str>,
    /// The number of threads, if the block prescribes it.
    pub threads: Option<usize>,
    pub jobs: Vec<Job>,
}

/// The default dtypes.
const DTYPES: [DType; 2] = [DType::F32, DType::F64];

/// Returns the plan, and notes about what it leaves out.
///
/// # Errors
/// The first selection that does not fit the others.
pub(crate) fn blocks(options: &Options) -> Result<(Vec<Block>, Vec<String>), String> {
    let overview = options.ops.is_empty() && options.effort == Effort::Overview;
    let mut dtypes = if options.dtypes.is_empty() { DTYPES.to_vec() } else { options.dtypes.clone() };
    unique(&mut dtypes);
    let cases = cases(options)?;
    let asked = options.ops.iter().any(|name| name == "small");
    if asked && !options.sizes.is_empty() {
        return Err("the group small has sizes of its own: remove --sizes, or select its cases by name".into());
    }
    let fits = |case: &&Case, size: &Vec<usize>| case.shapes(std::slice::from_ref(size)).is_ok();
    if let Some(size) = options.sizes.iter().find(|size| !cases.iter().any(|case| fits(case, size))) {
        let forms = cases.first().map_or("N".into(), |case| case.sizes.forms());
        return Err(format!("--sizes {} fits none of the selected cases: give {forms}", show_shape(size)));
    }
    let mut blocks = Vec::new();
    if asked || overview && options.sizes.is_empty() {
        // The overview shows the small work of one dtype: f64, NumPy's default, if it is selected.
        let main = dtypes.iter().position(|&dtype| dtype == DType::F64).unwrap_or(0);
        let shown = if overview { &dtypes[main..=main] } else { &dtypes[..] };
        blocks.extend(shown.iter().map(|&dtype| small(dtype)).filter(|block| !block.jobs.is_empty()));
    }
    let mut notes = Vec::new();
    for case in cases {
        if options.ops.is_empty() && !options.sizes.is_empty() && !options.sizes.iter().any(|size| fits(&case, size)) {
            notes.push(format!("{} was not measured, because none of --sizes fits it", case.name));
            continue;
        }
        if options.ops.iter().any(|name| name == case.name) {
            let refused: Vec<_> = dtypes.iter().filter(|d| !case.dtypes.contains(d)).map(|d| d.name()).collect();
            if !refused.is_empty() {
                notes.push(format!(
                    "{} was not measured in {}, which it does not support",
                    case.name,
                    refused.join(" ")
                ));
            }
        }
        blocks.extend(one_case(case, &dtypes, options, &mut notes)?);
    }
    if blocks.is_empty() {
        return Err(format!(
            "none of the selected cases supports {}; choose other --ops or --dtypes",
            dtypes.iter().map(|d| d.name()).collect::<Vec<_>>().join(" ")
        ));
    }
    Ok((blocks, notes))
}

/// Returns the cases that are measured at the sizes of their rows, or at the sizes that the options give.
fn cases(options: &Options) -> Result<Vec<&'static Case>, String> {
    let mut cases: Vec<&'static Case> = Vec::new();
    match options.effort {
        Effort::Overview if options.ops.is_empty() => {
            cases.extend(OVERVIEW.iter().map(|name| Case::named(name).expect("the overview names cases")));
        }
        _ if options.ops.is_empty() => cases.extend(CASES.iter().filter(|c| c.group == Group::Standard)),
        _ => {}
    }
    for name in &options.ops {
        match &name[..] {
            "small" => {}
            "ufuncs" => {
                let of_table =
                    |c: &&Case| matches!(c.kernel, Kernel::Unary(_) | Kernel::Binary(_) | Kernel::Composed(_));
                cases.extend(CASES.iter().filter(of_table));
            }
            _ => cases.push(Case::named(name)?),
        }
    }
    let mut names = Vec::new();
    cases.retain(|case| {
        let new = !names.contains(&case.name);
        names.push(case.name);
        new
    });
    Ok(cases)
}

/// Removes repeated items, and keeps the order.
fn unique<T: PartialEq + Clone>(items: &mut Vec<T>) {
    let mut seen: Vec<T> = Vec::new();
    items.retain(|item| {
        let new = !seen.contains(item);
        seen.push(item.clone());
        new
    });
}

/// Returns the group of small work for one dtype.
fn small(dtype: DType) -> Block {
    let job = |&(name, shapes): &(&str, &[&[usize]])| {
        let case = Case::named(name).expect("the group names cases");
        let shapes = shapes.iter().map(|s| s.to_vec()).collect();
        case.dtypes.contains(&dtype).then_some(Job { case, dtype, shapes })
    };
    Block { title: Some("small work"), threads: Some(1), jobs: SMALL.iter().filter_map(job).collect() }
}

/// Returns a block for each dtype that the case supports, and adds notes about sizes that it leaves out.
fn one_case(
    case: &'static Case,
    dtypes: &[DType],
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<Vec<Block>, String> {
    let own = match options.effort {
        Effort::Quick => case.sizes.quick,
        Effort::Overview => case.sizes.overview,
        Effort::Full => case.sizes.full,
    };
    let mut shapes =
        if options.sizes.is_empty() { own.iter().map(|s| s.to_vec()).collect() } else { case.shapes(&options.sizes)? };
    unique(&mut shapes);
    let available = machine::memory();
    let mut blocks = Vec::new();
    for &dtype in dtypes.iter().filter(|d| case.dtypes.contains(d)) {
        // The factor 6 covers inputs and output, the reference result, and the device's copies.
        let fits = |shape: &Vec<usize>| available == 0 || case.bytes(dtype, shape) * 6.0 < available as f64;
        let (shapes, too_large): (Vec<_>, Vec<_>) = shapes.iter().cloned().partition(fits);
        if let (Some(shape), false) = (too_large.first(), options.sizes.is_empty()) {
            let (bytes, shape) = (case.bytes(dtype, shape) / 1e9, show_shape(shape));
            return Err(format!(
                "{} {dtype} {shape} moves {bytes:.1} GB; its verification needs six times as much memory, and this \
                 machine has {:.1} GB; choose smaller --sizes, or other --ops",
                case.name,
                available as f64 / 1e9
            ));
        }
        for shape in too_large {
            let shape = show_shape(&shape);
            notes.push(format!(
                "{} {dtype} {shape} was not measured, because its verification needs more memory than this machine has",
                case.name
            ));
        }
        blocks.push(Block { title: None, threads: None, jobs: vec![Job { case, dtype, shapes }] });
    }
    Ok(blocks)
}
