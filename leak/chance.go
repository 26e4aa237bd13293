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
