//! A cube of sales, `[products, regions, days]`: totals by every axis, the top five, shares and weeks.

use super::Tour;
use polyarray::prelude::*;

const REGIONS: usize = 40;
const DAYS: usize = 364;

pub fn run(tour: &mut Tour) -> Result<()> {
    let products = tour.size(30_000) / 100;
    let products = products.max(10);
    let mut rng = random::Generator::new(5);
    let demand = rng.gamma::<f64>([products, 1, 1], 2.0, 3.0)?;
    let noise = rng.uniform::<f64>([products, REGIONS, DAYS], 0.0, 2.0)?;
    let sales = tour.time("the cube: demand of a product, and noise", || (&demand * &noise).eval())?;

    let naive = tour.time("total of each product, by a loop of views", || {
        let totals = sales.axis_iter(0)?.map(|product| product.sum());
        Ok(Array::from(totals.collect::<Result<Vec<f64>>>()?))
    })?;
    let by_product = tour.time("total of each product", || sales.sum_axis([1, 2]))?;
    let by_region = tour.time("total of each region", || sales.sum_axis([0, 2]))?;
    let by_day = tour.time("total of each day", || sales.sum_axis([0, 1]))?;
    let total = tour.time("total", || sales.sum())?;
    assert!(by_product.allclose(&naive, 1e-12, 0.0)?);
    for totals in [&by_product, &by_region, &by_day] {
        assert!((totals.sum()? / total - 1.0).abs() < 1e-12);
    }

    let (amounts, top) = tour.time("top five products", || by_product.topk(5, 0))?;
    assert!(amounts.get([0])? == by_product.max()? && by_product.take(&top, 0)? == amounts);
    assert_eq!(by_product.greater_equal(amounts.get([4])?).count_nonzero()?, 5);
    // The five best products of each region: `[regions, 5]`.
    let each = tour.time("top five products of each region", || sales.sum_axis(2)?.t().topk(5, 1))?;
    assert_eq!((each.0.shape(), each.1.shape()), (&[REGIONS, 5][..], &[REGIONS, 5][..]));

    let best = tour.time("best day of each product and region", || sales.argmax_axis(2))?;
    let at = best.expand_dims(2)?;
    assert!(sales.take_along_axis(&at, 2)?.squeeze()? == sales.max_axis(2)?);

    // Shares of a region: the total keeps its axis, so that it broadcasts.
    let shares = tour.time("share of each product in its region", || {
        let of_year = sales.sum_axis(2)?;
        (&of_year / of_year.sum_axis(axis(0).keepdims())?).eval()
    })?;
    assert!(shares.sum_axis(0)?.allclose(1.0, 1e-12, 0.0)?);

    // Weeks: the axis of the days becomes two.
    let by_week =
        tour.time("total of each week", || sales.reshape([products, REGIONS, DAYS / 7, 7])?.sum_axis([0, 1, 3]))?;
    assert!(by_week.len() == 52 && (by_week.sum()? / total - 1.0).abs() < 1e-12);
    let growth = tour.time("growth from week to week", || {
        let (before, after) = (by_week.slice(s![..-1])?, by_week.slice(s![1..])?);
        (&after / &before - 1.0).eval()
    })?;
    assert!(growth.len() == 51 && growth.abs().max()? < 1.0);

    // Income: prices of the products, without an array of three axes.
    let prices = rng.uniform::<f64>([products], 5.0, 50.0)?;
    let income = tour.time("income of each day", || einsum("prd,p->d", &[&sales, &prices]))?;
    let check = (&sales * prices.reshape([products, 1, 1])?).sum()?;
    assert!((income.sum()? / check - 1.0).abs() < 1e-12);
    Ok(())
}
