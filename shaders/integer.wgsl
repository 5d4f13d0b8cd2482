// Integer division (by zero it gives 0, and the smallest by -1 wraps) and powers (wrapping; negative ones truncate).

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
