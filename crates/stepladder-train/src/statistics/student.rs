//! Student's t distribution.

use statrs::function::beta::beta_reg;
use statrs::function::gamma::ln_gamma;

/// Probability that the absolute value of a t variable with `freedom` degrees exceeds `t`: I_x(ν/2, 1/2) at x = ν / (ν + t²)
/// (Abramowitz and Stegun 26.7.1).
///
/// ```
/// use stepladder_train::statistics::two_sided;
/// assert!((two_sided(2.776, 4.0) - 0.05).abs() < 1e-4);
/// ```
pub fn two_sided(t: f64, freedom: f64) -> f64 {
    if t.is_nan() || freedom.is_nan() {
        return f64::NAN;
    }
    beta_reg(freedom / 2.0, 0.5, freedom / (freedom + t * t))
}

/// The value that the absolute value of a t variable exceeds with probability `alpha`. Fewer than one degree of freedom count as
/// one; 0 for `alpha` of 1 and more.
///
/// ```
/// use stepladder_train::statistics::quantile;
/// assert!((quantile(0.05, 2.0) - 4.3027).abs() < 1e-4);
/// ```
pub fn quantile(alpha: f64, freedom: f64) -> f64 {
    if alpha >= 1.0 {
        return 0.0;
    }
    let freedom = freedom.max(1.0);
    // Exact for one and for two degrees; more degrees have a smaller quantile.
    let mut t = if freedom < 2.0 {
        1.0 / (std::f64::consts::FRAC_PI_2 * alpha).tan()
    } else {
        (2.0 / (alpha * (2.0 - alpha)) - 2.0).sqrt()
    };
    // Newton's steps for the logarithm of the tail as a function of ln t, which is concave: from above they never pass the root.
    let scale = (ln_gamma((freedom + 1.0) / 2.0) - ln_gamma(freedom / 2.0)).exp()
        / (freedom * std::f64::consts::PI).sqrt();
    for _ in 0..100 {
        let tail = two_sided(t, freedom);
        let density = scale * (1.0 + t * t / freedom).powf(-(freedom + 1.0) / 2.0);
        let step = (alpha / tail).ln() * tail / (2.0 * t * density);
        if !step.is_finite() {
            break;
        }
        t *= (-step).exp();
        if step.abs() < 1e-12 {
            break;
        }
    }
    t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_published_tables() {
        // NIST/SEMATECH e-Handbook 1.3.6.7.2 (three digits), and R's qt (six).
        for (alpha, freedom, expected) in [
            (0.05, 1.0, 12.706_205),
            (0.05, 2.0, 4.302_653),
            (0.05, 3.0, 3.182_446),
            (0.05, 4.0, 2.776_445),
            (0.05, 9.0, 2.262_157),
            (0.05, 30.0, 2.042_272),
            (0.05, 1000.0, 1.962_339),
            (0.1, 5.0, 2.015_048),
            (0.01, 2.0, 9.924_843),
            (0.01, 10.0, 3.169_273),
            (0.002, 4.0, 7.173_182),
            (0.5, 7.0, 0.711_142),
        ] {
            let found = quantile(alpha, freedom);
            assert!((found - expected).abs() < 1e-6, "{alpha} {freedom}: {found}");
            assert!((two_sided(found, freedom) - alpha).abs() < 1e-12, "{alpha} {freedom}");
        }
    }

    #[test]
    fn broken_degrees_lie_between_whole_ones() {
        let mut last = f64::INFINITY;
        for tenths in 10..400 {
            let found = quantile(0.05, f64::from(tenths) / 10.0);
            assert!(found < last && found > 1.96, "{tenths}: {found}");
            last = found;
        }
    }

    #[test]
    fn extremes_are_numbers() {
        assert_eq!((quantile(1.0, 5.0), two_sided(0.0, 3.0)), (0.0, 1.0));
        assert_eq!(quantile(0.05, 0.0), quantile(0.05, 1.0));
        assert_eq!(two_sided(f64::INFINITY, 3.0), 0.0);
        assert!(two_sided(f64::NAN, 3.0).is_nan());
        let far = quantile(1e-12, 2.0);
        assert!(far.is_finite() && (two_sided(far, 2.0) / 1e-12 - 1.0).abs() < 1e-3, "{far}");
        assert!((quantile(0.05, 1e7) - 1.959_964).abs() < 1e-5);
    }
}
