package leak

import (
	"math"
	"math/rand/v2"
	"testing"
)

func near(a, b, relative float64) bool { return math.Abs(a-b) <= relative*math.Abs(b) }

func TestTails(t *testing.T) {
	// From tables of the distributions.
	for _, c := range []struct{ got, want float64 }{
		{poissonTail(0, 3), math.Exp(-3)},
		{poissonTail(2, 3), .4231901},
		{poissonTail(3, 0), 1},
		{poissonTail(990, 1000), .3823},
		{binomialTail(8, 10, .5), 56. / 1024},
		{binomialTail(0, 10, .5), 1},
		{binomialTail(10, 10, .1), 1e-10},
		{binomialTail(1050, 2000, .5), .01342},
		{fewer(2, 8, .5), 56. / 1024},
		{risingTail([]float64{1, 2, 3, 4}), .0447},
		{risingTail([]float64{4, 3, 2, 1}), 1},
		{risingTail([]float64{1, 1, 1, 1}), 1},
		{normalTail(0), .5},
	} {
		if !near(c.got, c.want, .02) {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
}

func TestDiscoveries(t *testing.T) {
	got := discoveries([]float64{.2, .001, .031, .012, 1}, .05)
	for i, want := range []bool{false, true, false, true, false} {
		if got[i] != want {
			t.Errorf("%v", got)
			break
		}
	}
	if len(discoveries(nil, .05)) != 0 {
		t.Error("discoveries among none")
	}
}

// The approximation agrees with what happens when it is tried.
func TestFadingTail(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 3, 5, 20} {
		const trials = 40000
		means := make([]float64, trials)
		for i := range means {
			for range n {
				u := r.Float64()
				means[i] += -math.Log(1-u*(1-math.Exp(-fade))) / fade / float64(n)
			}
		}
		for _, mean := range []float64{.3, .35, .4, .5} {
			hits := 0
			for _, m := range means {
				if m >= mean {
					hits++
				}
			}
			want := float64(hits) / trials
			got := fadingTail(mean, float64(n), fade)
			if math.Abs(got-want) > .15*want+4*math.Sqrt(max(want, 1./trials)/trials) {
				t.Errorf("%d events at %v on average: %v, tried %v", n, mean, got, want)
			}
		}
	}
	if fadingTail(.1, 5, fade) != 1 || fadingTail(.99, 1000, fade) > 1e-15 {
		t.Error("the ends")
	}
}
