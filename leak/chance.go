package leak

import (
	"cmp"
	"math"
	"slices"
)

// normalTail returns the probability that a standard normal variable is at
// most z.
func normalTail(z float64) float64 { return .5 * math.Erfc(-z/math.Sqrt2) }

// poissonTail returns the probability that a Poisson variable of the given
// mean is at most d.
func poissonTail(d, mean float64) float64 {
	if mean <= 0 {
		return 1
	}
	if mean > 500 {
		return normalTail((d + .5 - mean) / math.Sqrt(mean))
	}
	term := math.Exp(-mean)
	sum := term
	for i := 1.0; i <= d; i++ {
		term *= mean / i
		sum += term
	}
	return min(1, sum)
}

// binomialTail returns the probability that at least k of n trials succeed,
// each with probability q, 0 < q < 1.
func binomialTail(k, n, q float64) float64 {
	k, n = math.Ceil(k-1e-9), math.Floor(n+1e-9)
	if k <= 0 {
		return 1
	}
	if n > 1000 {
		return normalTail(-(k - .5 - n*q) / math.Sqrt(n*q*(1-q)))
	}
	factorial := func(x float64) float64 { v, _ := math.Lgamma(x + 1); return v }
	p := 0.0
	for i := k; i <= n; i++ {
		p += math.Exp(factorial(n) - factorial(i) - factorial(n-i) + i*math.Log(q) + (n-i)*math.Log(1-q))
	}
	return min(1, p)
}

// fewer returns the probability that no more than late of late+early events are
// late, where a share of them is expected to be. Fractions count as late.
func fewer(late, early, share float64) float64 {
	early = math.Floor(early + 1e-9)
	return binomialTail(early, early+math.Ceil(late-1e-9), 1-share)
}

// discoveries returns which of the p-values hold when a share q of those that
// hold may be false (Benjamini and Hochberg, 1995).
func discoveries(p []float64, q float64) []bool {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	last := -1
	for rank, i := range order {
		if p[i] <= q*float64(rank+1)/float64(len(p)) {
			last = rank
		}
	}
	hold := make([]bool, len(p))
	for _, i := range order[:last+1] {
		hold[i] = true
	}
	return hold
}

// fadingTail returns the probability that the mean of n times in [0, 1], at
// which events came whose rate falls as exp(-k*t), is at least mean: the
// saddlepoint approximation of Lugannani and Rice (1980). It is 1 where the
// mean is not greater than expected.
func fadingTail(mean, n, k float64) float64 {
	// Times are exponential, cut at 1; so are those of any other mean.
	average := func(k float64) float64 {
		if math.Abs(k) < 1e-4 {
			return .5 - k/12
		}
		return 1/k - 1/math.Expm1(k)
	}
	if mean <= average(k)+1e-9 {
		return 1
	}
	low, high := -700., k
	for range 60 {
		if mid := (low + high) / 2; average(mid) > mean {
			low = mid
		} else {
			high = mid
		}
	}
	tilted := high
	scale := func(k float64) float64 { // log of the integral of exp(-k*t)
		if math.Abs(k) < 1e-9 {
			return -k / 2
		}
		return math.Log(-math.Expm1(-k) / k)
	}
	theta := k - tilted
	const step = 1e-3
	variance := max(1e-9, (average(tilted-step)-average(tilted+step))/(2*step))
	r := math.Sqrt(max(0, 2*n*(theta*mean-scale(tilted)+scale(k))))
	u := theta * math.Sqrt(n*variance)
	if r < 1e-3 {
		return .5
	}
	density := math.Exp(-r*r/2) / math.Sqrt(2*math.Pi)
	return min(1, max(0, normalTail(-r)+density*(1/u-1/r)))
}
