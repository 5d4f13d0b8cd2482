//! Splits tapes that are too long for one program: evaluates parts of them into temporaries first.

use super::Tape;
use crate::device::Device;
use crate::expr::SharedArray;
use crate::program::{Instr, MAX_INPUTS, MAX_INSTRS, Ref};
use crate::{Result, trace};
use smallvec::SmallVec;

/// The steps and operands that a value depends on, each list sorted. Temporaries are operands too. They live as long as
/// a value needs them.
#[derive(Clone, Default)]
struct Needs {
    steps: SmallVec<[u32; 8]>,
    inputs: SmallVec<[Input; 4]>,
}

/// An operand and its number. The operands of the tape come first, then temporaries.
#[derive(Clone)]
struct Input {
    number: u32,
    array: SharedArray,
}

/// Merges the sorted list `from` into the sorted list `to`, without duplicates by `key`.
fn merge<T: Clone, const N: usize>(to: &mut SmallVec<[T; N]>, from: &[T], key: impl Fn(&T) -> u32)
where
    [T; N]: smallvec::Array<Item = T>,
{
    if to.is_empty() {
        return to.extend(from.iter().cloned());
    }
    let mut merged: SmallVec<[T; N]> = SmallVec::with_capacity(to.len() + from.len());
    let (mut left, mut right) = (to.drain(..).peekable(), from.iter().peekable());
    loop {
        match (left.peek(), right.peek()) {
            (Some(l), Some(r)) if key(l) < key(r) => merged.extend(left.next()),
            (Some(l), Some(r)) => {
                if key(l) == key(r) {
                    left.next();
                }
                merged.extend(right.next().cloned());
            }
            (Some(_), None) => merged.extend(left.next()),
            (None, Some(_)) => merged.extend(right.next().cloned()),
            (None, None) => break,
        }
    }
    drop(left);
    *to = merged;
}

impl Needs {
    fn fits(&self) -> bool {
        self.steps.len() <= MAX_INSTRS && self.inputs.len() <= MAX_INPUTS
    }

    fn size(&self) -> usize {
        self.steps.len() + self.inputs.len()
    }
}

/// The state of a value of the tape during splitting.
enum Value {
    /// Not evaluated; to be computed from these steps and operands.
    Open(Needs),
    /// Evaluated into a temporary.
    Done(Input),
    /// No later step reads it.
    Gone,
}

impl Tape {
    /// Evaluates parts of the tape into temporaries if it is too long for one program or reads too many arrays.
    pub fn fit(&mut self, device: &Device) -> Result<()> {
        if self.is_too_long() {
            *self = std::mem::take(self).split(device)?;
        }
        Ok(())
    }

    /// Visits the steps in order and records the steps and operands that each value needs. If a step needs more than
    /// one program can hold, its largest operand is evaluated into a temporary, which the step then reads. A temporary
    /// is dropped after the last step that needs it.
    fn split(mut self, device: &Device) -> Result<Tape> {
        let operands = std::mem::take(&mut self.operands).into_iter().enumerate();
        let operands: Vec<Input> = operands.map(|(i, array)| Input { number: i as u32, array }).collect();
        let mut temporaries = operands.len() as u32;
        let last_use = self.last_uses();
        let mut values: Vec<Value> = Vec::with_capacity(self.instrs.len());
        for at in 0..self.instrs.len() {
            let instr = self.instrs[at];
            let needs = loop {
                let needs = needs_of(at as u32, &instr, &operands, &values);
                if needs.fits() {
                    break needs;
                }
                drop(needs);
                let largest = largest_open(&instr, &values).expect("a step on three arrays fits");
                let Value::Open(needs) = std::mem::replace(&mut values[largest as usize], Value::Gone) else {
                    unreachable!("it was open just now")
                };
                let part = self.part(needs)?.eval(device)?;
                trace::copied(part.buffer.bytes(), "a long expression was split");
                values[largest as usize] = Value::Done(Input { number: temporaries, array: SharedArray::new(part) });
                temporaries += 1;
            };
            self.instrs[at] = instr.map_refs(|r| match r {
                Ref::Value(v) => match &values[v as usize] {
                    Value::Done(input) => Ref::Input(input.number),
                    _ => r,
                },
                _ => r,
            });
            values.push(Value::Open(needs));
            for r in instr.operands() {
                if let Ref::Value(v) = r
                    && last_use[v as usize] == at
                {
                    values[v as usize] = Value::Gone;
                }
            }
        }
        let Ref::Value(result) = self.result else { unreachable!("a tape without steps reads at most one array") };
        let mut whole = match std::mem::replace(&mut values[result as usize], Value::Gone) {
            Value::Open(needs) => self.part(needs)?,
            Value::Done(input) => Tape::array(input.array),
            Value::Gone => unreachable!("the result is kept"),
        };
        whole.shape = self.shape;
        Ok(whole)
    }

    /// Returns for each step the last step that reads it; `usize::MAX` for the result.
    fn last_uses(&self) -> Vec<usize> {
        let mut last = vec![0; self.instrs.len()];
        for (at, instr) in self.instrs.iter().enumerate() {
            for r in instr.operands() {
                if let Ref::Value(v) = r {
                    last[v as usize] = at;
                }
            }
        }
        if let Ref::Value(v) = self.result {
            last[v as usize] = usize::MAX;
        }
        last
    }

    /// Makes the tape that computes the last of the steps in `needs`.
    fn part(&self, needs: Needs) -> Result<Tape> {
        let mut part = Tape::default();
        for input in &needs.inputs {
            part.shape = part.shape.broadcast(input.array.layout.shape())?;
        }
        for &step in &needs.steps {
            let instr = self.instrs[step as usize].map_refs(|r| match r {
                Ref::Input(i) => {
                    Ref::Input(needs.inputs.iter().position(|x| x.number == i).expect("an input it needs") as u32)
                }
                Ref::Value(v) => Ref::Value(needs.steps.binary_search(&v).expect("a step it needs") as u32),
                Ref::Param(p) => {
                    let value = self.params[p as usize];
                    let known = part.params.iter().position(|x| *x == value);
                    Ref::Param(known.unwrap_or_else(|| {
                        part.params.push(value);
                        part.params.len() - 1
                    }) as u32)
                }
            });
            part.instrs.push(instr);
            part.dtypes.push(self.dtypes[step as usize]);
        }
        part.operands = needs.inputs.into_iter().map(|input| input.array).collect();
        part.result = Ref::Value(part.instrs.len() as u32 - 1);
        Ok(part)
    }
}

/// Returns what step `at` needs: itself, and its operands with all that they need.
fn needs_of(at: u32, instr: &Instr, operands: &[Input], values: &[Value]) -> Needs {
    let mut needs = Needs { steps: SmallVec::from_slice(&[at]), inputs: SmallVec::new() };
    for r in instr.operands() {
        let input = match r {
            Ref::Param(_) => continue,
            Ref::Input(i) => &operands[i as usize],
            Ref::Value(v) => match &values[v as usize] {
                Value::Done(input) => input,
                Value::Open(more) => {
                    merge(&mut needs.steps, &more.steps, |s| *s);
                    merge(&mut needs.inputs, &more.inputs, |i| i.number);
                    continue;
                }
                Value::Gone => unreachable!("a value is kept until its last use"),
            },
        };
        merge(&mut needs.inputs, std::slice::from_ref(input), |i| i.number);
    }
    needs
}

/// Returns the operand of `instr` that needs the most steps and operands, among those that are not evaluated yet.
fn largest_open(instr: &Instr, values: &[Value]) -> Option<u32> {
    let open = |r: Ref| match r {
        Ref::Value(v) => match &values[v as usize] {
            Value::Open(needs) => Some((needs.size(), v)),
            _ => None,
        },
        _ => None,
    };
    instr.operands().into_iter().filter_map(open).max().map(|(_, v)| v)
}
