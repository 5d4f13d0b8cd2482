// Integer division (division by zero gives 0; the smallest integer divided by -1 wraps), powers (results wrap, and
// those of negative exponents truncate), remainders and shifts.

fn i32_div(x: i32, y: i32) -> i32 {
    let plain = y != 0 && y != -1;
    let quotient = x / select(1, y, plain);
    return select(select(0, 0 - x, y == -1), quotient, plain);
}

fn u32_div(x: u32, y: u32) -> u32 {
    let quotient = x / select(1u, y, y != 0u);
    return select(0u, quotient, y != 0u);
}

fn u32_pow(x: u32, y: u32) -> u32 {
    var base = x;
    var left = y;
    var result = 1u;
    for (var i = 0u; i < 32u; i += 1u) {
        if (left == 0u) { break; }
        if ((left & 1u) == 1u) { result = result * base; }
        base = base * base;
        left = left >> 1u;
    }
    return result;
}

fn i32_pow(x: i32, y: i32) -> i32 {
    if (y < 0) {
        let odd = (y & 1) == 1;
        return select(select(0, select(1, -1, odd), x == -1), 1, x == 1);
    }
    return bitcast<i32>(u32_pow(bitcast<u32>(x), bitcast<u32>(y)));
}

// A remainder has the sign of x, and is 0 if y is 0.
fn i32_rem(x: i32, y: i32) -> i32 {
    return select(x - i32_div(x, y) * y, 0, y == 0);
}

fn u32_rem(x: u32, y: u32) -> u32 {
    return select(x - u32_div(x, y) * y, 0u, y == 0u);
}

fn i32_floor_div(x: i32, y: i32) -> i32 {
    let below = i32_rem(x, y) != 0 && (x < 0) != (y < 0);
    return i32_div(x, y) - select(0, 1, below);
}

fn u32_floor_div(x: u32, y: u32) -> u32 {
    return u32_div(x, y);
}

// A count of at least the width, or a negative one, gives 0 (or the sign, for an arithmetic shift).
fn i32_shl(x: i32, y: i32) -> i32 {
    return select(0, x << (u32(y) & 31u), u32(y) < 32u);
}

fn u32_shl(x: u32, y: u32) -> u32 {
    return select(0u, x << (y & 31u), y < 32u);
}

fn i32_shr(x: i32, y: i32) -> i32 {
    return x >> select(31u, u32(y), u32(y) < 32u);
}

fn u32_shr(x: u32, y: u32) -> u32 {
    return select(0u, x >> (y & 31u), y < 32u);
}
