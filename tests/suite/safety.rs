//! Reads the sources and checks that `docs/safety.md` lists every `unsafe` contract of the public API, and that every
//! `unsafe fn` has a section `# Safety`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The packages whose sources are checked, and their names in paths.
const PACKAGES: [(&str, &str); 8] = [
    (".", "polyarray"),
    ("core", "polyarray_core"),
    ("backend-cpu", "polyarray_cpu"),
    ("backend-simd", "polyarray_simd"),
    ("backend-gpu", "polyarray_gpu"),
    ("linalg", "polyarray_linalg"),
    ("fft", "polyarray_fft"),
    ("conformance", "polyarray_conformance"),
];

/// An `unsafe fn`, or an `unsafe trait`, whose implementations guarantee something.
#[derive(Debug, PartialEq)]
struct Item {
    /// `Type::function`, `Trait::function`, `Trait` or `function`.
    name: String,
    line: usize,
    /// Whether it is `pub`, or a function of a public trait.
    public: bool,
    /// Whether its documentation has a section `# Safety`.
    documented: bool,
    /// Whether it implements a function of a trait, which states the contract.
    implements: bool,
}

/// Returns the code line by line without strings and comments, so that braces and words can be counted. Keeps
/// documentation comments.
fn bare(source: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut rest = source.chars().peekable();
    let mut previous = ' ';
    while let Some(c) = rest.next() {
        match c {
            '\n' => out.push(String::new()),
            '/' if rest.peek() == Some(&'/') => {
                let mut comment = String::from("/");
                while let Some(&next) = rest.peek()
                    && next != '\n'
                {
                    comment.push(next);
                    rest.next();
                }
                if comment.starts_with("///") {
                    out.last_mut().expect("there is a line").push_str(&comment);
                }
            }
            'r' if matches!(rest.peek(), Some('"' | '#')) && !previous.is_alphanumeric() && previous != '_' => {
                let mut hashes = 0;
                while rest.peek() == Some(&'#') {
                    rest.next();
                    hashes += 1;
                }
                if rest.peek() == Some(&'"') {
                    rest.next();
                    let mut after = None;
                    for c in rest.by_ref() {
                        match (c, after) {
                            ('"', _) => after = Some(0),
                            ('#', Some(n)) => after = Some(n + 1),
                            _ => after = None,
                        }
                        if c == '\n' {
                            out.push(String::new());
                        }
                        if after == Some(hashes) {
                            break;
                        }
                    }
                }
            }
            '"' => {
                while let Some(c) = rest.next() {
                    match c {
                        '\\' if rest.next() == Some('\n') => out.push(String::new()),
                        '\n' => out.push(String::new()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            // A character literal. A lifetime has no second quote.
            '\'' => {
                let ahead: Vec<char> = rest.clone().take(3).collect();
                match ahead[..] {
                    ['\\', ..] => {
                        rest.next();
                        rest.next();
                        while rest.next().is_some_and(|c| c != '\'') {}
                    }
                    [_, '\'', ..] => {
                        rest.next();
                        rest.next();
                    }
                    _ => {}
                }
            }
            c => out.last_mut().expect("there is a line").push(c),
        }
        previous = c;
    }
    out
}

/// Returns the identifier at the start of `text`.
fn identifier(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The owner of the items inside a pair of braces.
#[derive(Clone, Debug)]
enum Scope {
    /// Methods of this type.
    Type(String),
    /// Functions that implement a trait.
    Implementation,
    /// Functions of this trait, and whether the trait is public.
    Trait(String, bool),
    /// Tests, which are skipped.
    Tests,
    Other,
}

/// Returns the scope of an `impl` block from its header: an implementation of a trait, or the type's name without
/// generics.
fn implemented(header: &str) -> Scope {
    let words = header.split(" where ").next().unwrap_or(header);
    if words.contains(" for ") {
        return Scope::Implementation;
    }
    let mut rest = words.trim_start_matches("unsafe ").trim_start_matches("impl").trim_start();
    if rest.starts_with('<') {
        let mut depth = 0;
        let end = rest.char_indices().find(|&(i, c)| {
            depth += i32::from(c == '<') - i32::from(c == '>' && !rest[..i].ends_with('-'));
            depth == 0
        });
        rest = end.map_or("", |(i, _)| &rest[i + 1..]);
    }
    Scope::Type(identifier(rest.trim_start().trim_start_matches('&')).to_string())
}

/// Finds every `unsafe fn` and `unsafe trait` of a file, except those of its tests.
fn items(source: &str) -> Vec<Item> {
    let mut found = Vec::new();
    let mut scopes: Vec<Scope> = Vec::new();
    // The text since the last `;`, `{` or `}`: the header of the next item.
    let (mut header, mut doc, mut test) = (String::new(), String::new(), false);
    for (number, line) in bare(source).iter().enumerate() {
        let (code, comment) = line.split_once("///").map_or((&line[..], None), |(code, comment)| (code, Some(comment)));
        if let Some(comment) = comment {
            doc.push_str(comment);
            doc.push('\n');
        }
        for c in code.chars() {
            match c {
                '{' | ';' | '}' => {
                    let words: String = header.split_whitespace().collect::<Vec<_>>().join(" ");
                    test |= words.contains("#[cfg(test)]") || words.contains("#[test]");
                    let here = scopes.last().cloned().unwrap_or(Scope::Other);
                    let tests = test || scopes.iter().any(|s| matches!(s, Scope::Tests));
                    let is = |what: &str| {
                        words
                            .find(what)
                            .filter(|&at| at == 0 || !words[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
                    };
                    let function =
                        is("unsafe fn ").or_else(|| is("unsafe extern \"C\" fn ")).or_else(|| is("unsafe extern fn "));
                    if c != '}' && !tests {
                        let public = words.split("unsafe ").next().unwrap_or("").split_whitespace().any(|w| w == "pub");
                        let documented = doc.contains("# Safety") || words.contains("# Safety");
                        if let Some(at) = function {
                            let name = identifier(words[at..].split_once("fn ").expect("it was found").1);
                            // `unsafe fn(..)` is a type.
                            if !name.is_empty() {
                                let (name, public, implements) = match &here {
                                    Scope::Type(of) => (format!("{of}::{name}"), public, false),
                                    Scope::Trait(of, public) => (format!("{of}::{name}"), *public, false),
                                    Scope::Implementation => (name.to_string(), false, true),
                                    Scope::Other | Scope::Tests => (name.to_string(), public, false),
                                };
                                found.push(Item { name, line: number + 1, public, documented, implements });
                            }
                        } else if let Some(at) = is("unsafe trait ") {
                            let name = identifier(&words[at + "unsafe trait ".len()..]).to_string();
                            found.push(Item { name, line: number + 1, public, documented, implements: false });
                        }
                    }
                    match c {
                        '{' => {
                            let of_trait = is("trait ").map(|at| identifier(&words[at + "trait ".len()..]).to_string());
                            scopes.push(match of_trait {
                                _ if tests => Scope::Tests,
                                Some(name) => Scope::Trait(
                                    name,
                                    words.split("trait ").next().unwrap_or("").split_whitespace().any(|w| w == "pub"),
                                ),
                                None => match is("impl").filter(|_| function.is_none() && is("fn ").is_none()) {
                                    Some(at) => implemented(&words[at..]),
                                    None => Scope::Other,
                                },
                            });
                        }
                        '}' => {
                            scopes.pop();
                        }
                        _ => {}
                    }
                    header.clear();
                    doc.clear();
                    test = false;
                }
                c => header.push(c),
            }
        }
        header.push(' ');
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            out.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs")
            && !path.file_stem().is_some_and(|s| s.to_string_lossy().ends_with("tests"))
        {
            out.push(path);
        }
    }
    out.sort();
    out
}

/// Returns the names that `pub use` exports in the file of a module, and the names of its public modules. Apart from
/// the items of the file, nothing else can be reached through the module.
fn exported(lib: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let text = bare(lib).iter().map(|l| l.split("///").next().unwrap_or("").to_string()).collect::<Vec<_>>().join(" ");
    let (mut names, mut modules) = (BTreeSet::new(), BTreeSet::new());
    for statement in text.split([';', '}']) {
        let words = statement.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(at) = words.find("pub use ") {
            let listed = words[at + 8..].split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty());
            names.extend(listed.map(str::to_string));
        }
        if let Some(at) = words.find("pub mod ") {
            modules.insert(identifier(&words[at + 8..]).to_string());
        }
    }
    (names, modules)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Returns the path by which users name `item` of the file `inside` of a package, if they can reach it: the first
/// module on the way to the file that exports the item, or the file itself if all modules on the way are public.
fn public_path(package: &str, source: &Path, inside: &Path, item: &str) -> Option<String> {
    let outer = item.split("::").next().unwrap_or_default();
    let mut modules: Vec<String> = inside.with_extension("").iter().map(|m| m.to_string_lossy().into()).collect();
    if matches!(modules.last().map(String::as_str), Some("mod" | "lib")) {
        modules.pop();
    }
    let mut file = source.join("lib.rs");
    let mut path = package.to_string();
    let mut folder = source.to_path_buf();
    for module in modules {
        let (names, public) = exported(&read(&file));
        if names.contains(outer) {
            break;
        }
        if !public.contains(&module) {
            return None;
        }
        path = format!("{path}::{module}");
        file = folder.join(&module).with_extension("rs");
        folder.push(&module);
        if !file.exists() {
            file = folder.join("mod.rs");
        }
    }
    Some(format!("{path}::{item}"))
}

/// Returns every item of every package: its location, its public path if it can be reached from outside, and the item.
fn all() -> Vec<(String, Option<String>, Item)> {
    let mut out = Vec::new();
    for (folder, package) in PACKAGES {
        let source = root().join(folder).join("src");
        for path in sources(&source) {
            let inside = path.strip_prefix(&source).expect("the path is inside the source folder").to_path_buf();
            for item in items(&read(&path)) {
                let name = item.public.then(|| public_path(package, &source, &inside, &item.name)).flatten();
                out.push((format!("{folder}/src/{}:{}", inside.display(), item.line), name, item));
            }
        }
    }
    out
}

#[test]
fn every_unsafe_function_states_its_contract() {
    let all = all();
    assert!(
        all.len() > 100,
        "only {} unsafe items were found, expected more than 100: the parser misses some",
        all.len()
    );
    let silent: Vec<String> = all
        .iter()
        .filter(|(_, _, i)| !i.documented && !i.implements)
        .map(|(at, _, i)| format!("{at}: {}", i.name))
        .collect();
    assert!(silent.is_empty(), "{} without a section `# Safety`:\n{}", silent.len(), silent.join("\n"));
}

#[test]
fn the_public_contracts_are_all_in_the_documentation() {
    let text = read(&root().join("docs/safety.md"));
    let mut listed: BTreeSet<String> = BTreeSet::new();
    let mut sections = text.split("\n### ").skip(1);
    for section in sections.by_ref() {
        let (head, body) = section.split_once('\n').unwrap_or((section, ""));
        let name = head.trim().trim_matches('`').to_string();
        assert!(
            body.split("\n## ").next().is_some_and(|b| b.trim().len() > 40),
            "docs/safety.md has no text in the section {name}"
        );
        assert!(listed.insert(name.clone()), "docs/safety.md lists {name} twice");
    }
    let public: BTreeSet<String> = all().into_iter().filter_map(|(_, name, _)| name).collect();
    for reached in ["Buffer::read_only", "walk::gather", "interchange::dlpack::import"] {
        assert!(public.contains(&format!("polyarray_core::{reached}")), "{public:?}");
    }
    let missing: Vec<&String> = public.difference(&listed).collect();
    assert!(missing.is_empty(), "docs/safety.md lacks a section `### \\`name\\`` for {missing:#?}");
    let stale: Vec<&String> = listed.difference(&public).collect();
    assert!(stale.is_empty(), "docs/safety.md has sections for items that do not exist or are not unsafe: {stale:#?}");
}

#[test]
fn items_are_found_and_told_apart() {
    let source = r##"
/// A contract.
///
/// # Safety
/// Its implementations owe this.
pub unsafe trait Device {
    /// # Safety
    /// The caller owes that.
    unsafe fn run(&self, x: [u8; 3]) -> bool { "}".len() > 0 }
    /// Nothing is said.
    unsafe fn forget(&self);
    fn safe(&self) { let f: unsafe fn(u8) = g; }
}
impl<T: Into<u8>> Block<T> where T: Copy {
    /// # Safety
    /// Lots.
    pub unsafe fn at<'a>(&'a self, c: char) -> u8 { if c == '{' || c == '\'' { 1 } else { unsafe { 2 } } }
    pub(crate) unsafe fn inner(&self) {}
}
unsafe impl Device for u8 { unsafe fn run(&self, x: [u8; 3]) -> bool { true } unsafe fn forget(&self) {} }
// unsafe fn commented() {}
const TEXT: &str = r#"unsafe fn quoted() {}"#;
#[cfg(test)]
mod tests { unsafe fn of_tests() {} }
pub unsafe fn free(x: impl Fn(u8) -> u8) {}
"##;
    let found: Vec<(String, bool, bool, bool)> =
        items(source).into_iter().map(|i| (i.name, i.public, i.documented, i.implements)).collect();
    let expected = [
        ("Device", true, true, false),
        ("Device::run", true, true, false),
        ("Device::forget", true, false, false),
        ("Block::at", true, true, false),
        ("Block::inner", false, false, false),
        ("run", false, false, true),
        ("forget", false, false, true),
        ("free", true, false, false),
    ];
    assert_eq!(found, expected.map(|(n, p, d, i)| (n.to_string(), p, d, i)));
    let (names, modules) = exported("mod a; pub mod b; pub use a::{C, d::E as F}; use g::H;");
    assert!(
        ["C", "E", "F"].iter().all(|n| names.contains(*n))
            && !names.contains("H")
            && modules.contains("b")
            && !modules.contains("a")
    );
}
