//! A random workload that is checked against a plain model. It creates arrays of every dtype, views them, drops them in
//! any order, passes them to expressions by reference and by value, writes them in place and through views, reduces,
//! scans, sorts and multiplies them, and passes them to threads. After each step the result must equal the model; after
//! each write, so must every other array of the dtype.
//!
//! The workload is meant for builds that check memory accesses (AddressSanitizer) or arithmetic (overflow checks), on
//! every device and every tier of `simd`. It depends on the seed and the number of a game only, so that a failure can
//! be reproduced.

mod expressions;
mod model;
mod products;
mod reductions;
mod views;
mod writes;

use crate::values::{Rng, random, specials};
use model::{Model, compare_bits, widened};
use polyarray_core::{Array, DType, Element, Error, IntoExpr, Kind, SliceItem, Wide, with_dtype, with_threads};
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A game: a random sequence of steps.
#[derive(Clone, Copy, Debug)]
pub struct Game {
    /// The seed of the random numbers of all games.
    pub seed: u64,
    /// The number of the game. Each game has its own random numbers.
    pub number: u64,
    /// The number of steps.
    pub steps: usize,
    /// Whether each step is printed to standard error before it runs, so that a crash leaves a record.
    pub trace: bool,
}

/// The statistics of a game that passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// The number of steps, including those of threads.
    pub steps: u64,
    /// The number of results that were compared with the model.
    pub checks: u64,
}

/// A result that differs from the model, an unexpected error, or a panic.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The game that was played.
    pub game: Game,
    /// A description of the fault.
    pub what: String,
    /// The last steps, oldest first. The fault is in the last step or in its operands.
    pub steps: Vec<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Game { seed, number, steps, .. } = self.game;
        writeln!(f, "seed {seed}, game {number} of {steps} steps: {}", self.what)?;
        writeln!(f, "The last steps:")?;
        self.steps.iter().try_for_each(|step| writeln!(f, "  {step}"))?;
        write!(f, "Reproduce it with --seed {seed} --game {number} --steps {steps} --trace")
    }
}

impl Game {
    /// Plays the game on the current device.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn play(self) -> Result<Played, Box<Fault>> {
        let mut world = World::new(Rng::new(self.seed ^ self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15)), self.trace);
        match world.run(self.steps) {
            Ok(()) => Ok(world.played),
            Err(what) => Err(Box::new(Fault { game: self, what, steps: world.recent.into() })),
        }
    }
}

/// An array and its model.
#[derive(Clone)]
struct Slot<T: Element> {
    array: Array<T>,
    model: Model,
}

/// The maximum number of arrays of one dtype at the start of a step.
const ROOM: usize = 8;
/// The number of steps that a fault lists.
const SHOWN: usize = 40;
/// The maximum number of elements of a result, except in `World::large`.
const MOST: usize = 1 << 16;

type Outcome<T = ()> = Result<T, String>;

/// Converts the error of a result to text, preceded by the name of the operation.
fn done<T>(what: &str, result: polyarray_core::Result<T>) -> Outcome<T> {
    result.map_err(|e| format!("{what}: {e}"))
}

/// The state of a game.
struct World {
    rng: Rng,
    /// One `Vec<Slot<T>>` for each dtype.
    pools: Vec<Box<dyn Any + Send>>,
    recent: VecDeque<String>,
    trace: bool,
    /// Whether this is the state of a thread of a game.
    forked: bool,
    played: Played,
}

impl World {
    fn new(rng: Rng, trace: bool) -> World {
        let pool = |dtype| -> Box<dyn Any + Send> { with_dtype!(dtype, T => Box::new(Vec::<Slot<T>>::new())) };
        let pools = DType::ALL.map(pool).into();
        World { rng, pools, recent: VecDeque::new(), trace, forked: false, played: Played::default() }
    }

    fn pool<T: Element>(&mut self) -> &mut Vec<Slot<T>> {
        let at = DType::ALL.iter().position(|d| *d == T::DTYPE).expect("ALL has every dtype");
        self.pools[at].downcast_mut().expect("each pool has the type of its dtype")
    }

    fn note(&mut self, step: String) {
        if self.trace {
            eprintln!("{step}");
        }
        self.recent.push_back(step);
        if self.recent.len() > SHOWN {
            self.recent.pop_front();
        }
    }

    /// Runs steps until one fails. A panic is a failure.
    fn run(&mut self, steps: usize) -> Outcome {
        for _ in 0..steps {
            match catch_unwind(AssertUnwindSafe(|| self.step())) {
                Ok(outcome) => outcome?,
                Err(panic) => {
                    let text = panic
                        .downcast_ref::<String>()
                        .cloned()
                        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_string()));
                    return Err(format!("a panic: {}", text.unwrap_or_default()));
                }
            }
        }
        DType::ALL.iter().try_for_each(|&dtype| with_dtype!(dtype, T => self.verify::<T>()))
    }

    fn step(&mut self) -> Outcome {
        self.played.steps += 1;
        if !self.forked && self.rng.chance(1, 400) {
            return self.fork();
        }
        if !self.forked && self.rng.chance(1, 1000) {
            return if self.rng.chance(1, 2) { self.large::<f32>() } else { self.large::<i32>() };
        }
        let dtype = *self.rng.pick(&DType::ALL);
        let threads = 1 + self.rng.below(4);
        with_threads(threads, || with_dtype!(dtype, T => self.step_of::<T>()))
    }

    fn step_of<T: Element>(&mut self) -> Outcome {
        while self.pool::<T>().len() > ROOM {
            self.drop_one::<T>();
        }
        if self.pool::<T>().len() < 2 {
            return self.create::<T>();
        }
        match self.rng.below(100) {
            0..8 => self.create::<T>(),
            8..14 => {
                self.drop_one::<T>();
                Ok(())
            }
            14..34 => self.view::<T>(),
            34..58 => self.expression::<T>(),
            58..70 => self.write::<T>(),
            70..80 => self.reduction::<T>(),
            80..84 => self.scan::<T>(),
            84..90 => self.sorting::<T>(),
            90..96 => self.product::<T>(),
            96..98 => self.contraction::<T>(),
            98..99 => self.distance::<T>(),
            _ => self.verify::<T>(),
        }
    }

    /// Checks that every array of this dtype still equals its model.
    fn verify<T: Element>(&mut self) -> Outcome {
        self.played.checks += 1;
        self.pool::<T>().iter().enumerate().try_for_each(|(i, slot)| {
            compare_bits(&format!("array {i} in the pool"), &slot.array, &slot.model).map(drop)
        })
    }

    fn push<T: Element>(&mut self, array: Array<T>, model: Model) {
        self.pool::<T>().push(Slot { array, model });
    }

    /// Compares a result with the model bit for bit, and adds it to the pool.
    fn keep<T: Element>(&mut self, what: &str, array: Array<T>, model: &Model) -> Outcome {
        self.played.checks += 1;
        // Keeps the NaNs of the result, so that later steps use the actual bits.
        let model = compare_bits(what, &array, model)?;
        self.push(array, model);
        Ok(())
    }

    fn drop_one<T: Element>(&mut self) {
        let n = self.pool::<T>().len();
        let at = self.rng.below(n);
        self.note(format!("drop {} #{at}", T::DTYPE));
        self.pool::<T>().swap_remove(at);
    }

    /// Returns a copy of a random array of the pool. The copy shares the array's buffer.
    fn borrow<T: Element>(&mut self) -> Slot<T> {
        let n = self.pool::<T>().len();
        if n == 0 {
            return self.fresh_slot();
        }
        let at = self.rng.below(n);
        self.pool::<T>()[at].clone()
    }

    /// Removes a random array from the pool and returns it.
    fn take<T: Element>(&mut self) -> Slot<T> {
        let n = self.pool::<T>().len();
        if n == 0 {
            return self.fresh_slot();
        }
        let at = self.rng.below(n);
        self.pool::<T>().swap_remove(at)
    }

    fn fresh_slot<T: Element>(&mut self) -> Slot<T> {
        let shape = self.shape();
        self.fresh(&shape)
    }

    fn fresh<T: Element>(&mut self, shape: &[usize]) -> Slot<T> {
        let data: Vec<T> = self.numbers(shape.iter().product());
        let model = widened(shape, &data);
        Slot { array: Array::from_vec(data, shape).expect("a vector of the shape's length"), model }
    }

    /// Returns a new array with the elements of `model`, in a random layout.
    fn laid_out<T: Element>(&mut self, model: Model) -> Outcome<Slot<T>> {
        let whole = done("from_slice", Array::from_slice(&model.elements::<T>(), &model.shape[..]))?;
        if self.rng.chance(1, 2) {
            return Ok(Slot { array: whole, model });
        }
        let array = self.relaid(&whole)?;
        Ok(Slot { array, model })
    }

    /// Returns elements of a new array: small numbers or numbers of all sizes, sometimes with special values.
    fn numbers<T: Element>(&mut self, n: usize) -> Vec<T> {
        let mut out: Vec<T> = match self.rng.below(4) {
            0 => random(&mut self.rng, (-1e3, 1e3), n),
            1 => random(&mut self.rng, (-1.0, 1.0), n),
            _ => (0..n).map(|_| self.small()).collect(),
        };
        if self.rng.chance(1, 6) {
            let special = specials::<T>(true);
            for x in &mut out {
                if self.rng.chance(1, 8) {
                    *x = *self.rng.pick(&special);
                }
            }
        }
        out
    }

    /// Returns an integer from -8 to 8, within the range of the dtype.
    fn small<T: Element>(&mut self) -> T {
        let part = |rng: &mut Rng| rng.below(17) as f64 - 8.0;
        T::from_wide(match T::DTYPE.kind() {
            Kind::Bool => Wide::Int((self.rng.next() & 1).into()),
            Kind::Uint => Wide::Int(self.rng.below(9) as i128),
            Kind::Complex => Wide::Complex(part(&mut self.rng), part(&mut self.rng)),
            Kind::Int | Kind::Float => Wide::Float(part(&mut self.rng)),
        })
    }

    /// Returns a random shape, mostly of few elements.
    fn shape(&mut self) -> Vec<usize> {
        if self.rng.chance(1, 150) {
            return if self.rng.chance(1, 2) {
                vec![30_000 + self.rng.below(MOST - 30_000)]
            } else {
                vec![2 + self.rng.below(90), 300 + self.rng.below(300)]
            };
        }
        if self.rng.chance(1, 8) {
            return vec![100 + self.rng.below(3000)];
        }
        let mut shape: Vec<usize> = Vec::new();
        for _ in 0..self.rng.below(5) {
            let n = match self.rng.below(20) {
                0 => 0,
                1..5 => 1,
                5..15 => 2 + self.rng.below(6),
                _ => 8 + self.rng.below(34),
            };
            shape.push(if shape.iter().product::<usize>() * n > 6000 { 1 } else { n });
        }
        shape
    }

    fn create<T: Element>(&mut self) -> Outcome {
        let shape = self.shape();
        let n = shape.iter().product();
        let how = self.rng.below(6);
        self.note(format!("create {} {shape:?} in way {how}", T::DTYPE));
        let data: Vec<T> = if how < 2 { vec![self.small(); n] } else { self.numbers(n) };
        let model = widened(&shape, &data);
        let value = data.first().copied().unwrap_or_default();
        let shape = &shape[..];
        let array = match how {
            0 => Array::full(shape, value),
            1 => Array::from_fn(shape, |_| value),
            2 => Array::from_slice(&data, shape),
            3 => Array::from_fn(shape, |index| T::from_wide(model.at(index))),
            _ => Array::from_vec(data, shape),
        };
        let array = done("create", array)?;
        self.keep("create", array, &model)
    }

    /// Runs three threads on arrays that share their buffers. The game continues with the arrays of one of them.
    fn fork(&mut self) -> Outcome {
        self.note("three threads take 40 steps each".into());
        let mut worlds: Vec<World> = (0..3).map(|_| self.forked()).collect();
        let device = done("current", polyarray_core::Device::current())?;
        let play = |world: &mut World| polyarray_core::with_device(&device, || world.run(40));
        // Without threads, the three run one after another.
        let no_threads = cfg!(all(target_family = "wasm", not(target_feature = "atomics")));
        let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
            if no_threads {
                return worlds.iter_mut().map(play).collect();
            }
            let running: Vec<_> = worlds.iter_mut().map(|world| scope.spawn(|| play(world))).collect();
            running
                .into_iter()
                .map(|t| t.join().unwrap_or_else(|_| Err("a thread panicked outside of a step".into())))
                .collect()
        });
        for (i, (world, outcome)) in worlds.iter_mut().zip(outcomes).enumerate() {
            self.played.steps += world.played.steps;
            self.played.checks += world.played.checks;
            if let Err(what) = outcome {
                let steps = std::mem::take(&mut world.recent);
                steps.into_iter().for_each(|step| self.note(format!("thread {i}: {step}")));
                return Err(format!("thread {i}: {what}"));
            }
        }
        // The writes of the threads must not change the arrays of this game.
        DType::ALL.iter().try_for_each(|&dtype| with_dtype!(dtype, T => self.verify::<T>()))?;
        self.pools = worlds.swap_remove(1).pools;
        Ok(())
    }

    /// Tests work for several threads, on every device that has them: an expression of one large array, by value or by
    /// reference, which may be a view of a larger one.
    fn large<T: Element>(&mut self) -> Outcome {
        let whole = 900_000 + self.rng.below(900_000);
        let (start, step) = (self.rng.below(whole / 3), *self.rng.pick(&[1, 1, 1, -1]));
        let n = whole - start;
        let by_value = self.rng.chance(3, 4);
        self.note(format!("large {}: {n} elements from {start} on, step {step}, by value: {by_value}", T::DTYPE));
        // Few distinct small integers, repeated, so that their model is cheap.
        let values: Vec<T> = (0..1009).map(|_| self.small()).collect();
        let at = |i: usize| values[i % values.len()];
        let array = done("from_vec", Array::from_vec((0..whole).map(at).collect(), whole))?;
        let part = done("slice", array.slice([SliceItem::Range { start: start as isize, end: None, step }]))?;
        drop(array);
        let (two, one): (T, T) = (T::from_wide(Wide::Int(2)), T::from_wide(Wide::Int(1)));
        let expr = if by_value { part.into_expr() } else { (&part).into_expr() };
        let result = done("eval", with_threads(4, || (expr * two + one).eval()))?;
        let source = |i: usize| if step > 0 { start + i } else { whole - 1 - i };
        let want = |i: usize| T::from_wide(Wide::Float(at(source(i)).to_wide().real() * 2.0 + 1.0));
        self.played.checks += 1;
        let got = done("to_vec", result.to_vec())?;
        match (0..n).find(|&i| got.get(i) != Some(&want(i))) {
            None => Ok(()),
            Some(i) => Err(format!("element {i} of {n} is {:?}, not {:?}", got.get(i), want(i))),
        }
    }

    fn forked(&mut self) -> World {
        let mut world = World { forked: true, ..World::new(Rng::new(self.rng.next()), self.trace) };
        for dtype in DType::ALL {
            with_dtype!(dtype, T => *world.pool::<T>() = self.pool::<T>().clone());
        }
        world
    }

    /// Checks that an operation returns [`Error::DTypeUndefined`].
    fn expect_undefined<T>(what: &str, result: polyarray_core::Result<T>) -> Outcome {
        match result {
            Err(Error::DTypeUndefined { .. }) => Ok(()),
            Err(e) => Err(format!("{what}: expected the error DTypeUndefined, got: {e}")),
            Ok(_) => Err(format!("{what}: expected the error DTypeUndefined, got a result")),
        }
    }
}
