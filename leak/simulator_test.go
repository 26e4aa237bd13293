package leak

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

var (
	simRuns   = flag.Int("sim.runs", 6, "simulated devices per condition and noise level")
	simTuning = flag.Bool("sim.tuning", false, "simulate the devices that the test was tuned on instead of those that judge it")
	simWorst  = flag.Bool("sim.kinds", false, "show which kinds of sites are judged wrongly")
)

// A tally counts verdicts against the truth.
type tally struct {
	runs, right, wrong, missed int
	kinds                      map[string]int
}

func (t *tally) precision() float64 {
	if t.right+t.wrong == 0 {
		return 1
	}
	return float64(t.right) / float64(t.right+t.wrong)
}

func (t *tally) recall() float64 {
	if t.right+t.missed == 0 {
		return 1
	}
	return float64(t.right) / float64(t.right+t.missed)
}

func (t *tally) count(d *device, site int, confirmed bool, reason string) {
	switch {
	case confirmed && d.leak[site]:
		t.right++
		return
	case confirmed:
		t.wrong++
	case d.leak[site]:
		t.missed++
	default:
		return
	}
	if t.kinds == nil {
		t.kinds = map[string]int{}
	}
	if confirmed {
		reason = "FALSE"
	}
	if i := strings.IndexAny(reason, "0123456789"); i > 0 {
		reason = reason[:i]
	}
	t.kinds[d.kind[site]+": "+reason]++
}

var conditions = []struct {
	name string
	worlds
}{
	{"5 listings over a long soak", worlds{{listings: 5, length: 40, long: true}}},
	{"10 listings", worlds{{listings: 10, length: 10}}},
	{"30 listings", worlds{{listings: 30, length: 30}}},
	{"100 listings", worlds{{listings: 100, length: 100}}},
	{"hard lifetimes, 30 and more listings", worlds{{listings: 30, length: 30, hard: true}, {listings: 60, length: 60, hard: true}, {listings: 100, length: 100, hard: true}}},
	{"no leak, 5 listings", worlds{{listings: 5, length: 40, long: true, leaks: -1}}},
	{"no leak, 10 listings", worlds{{listings: 10, length: 10, leaks: -1}}},
	{"no leak, 30 listings", worlds{{listings: 30, length: 30, leaks: -1}}},
	{"no leak, 100 listings", worlds{{listings: 100, length: 100, leaks: -1}}},
	{"no leak, hard lifetimes", worlds{{listings: 30, length: 30, hard: true, leaks: -1}, {listings: 100, length: 100, hard: true, leaks: -1}}},
}

type worlds []world

func TestSimulator(t *testing.T) {
	for number, c := range conditions {
		t.Run(c.name, func(t *testing.T) { simulate(t, number) })
	}
}

func simulate(t *testing.T, number int) {
	c := conditions[number]
	{
		var ours, theirs tally
		for k := range *simRuns {
			for noise := range 3 {
				w := c.worlds[k%len(c.worlds)]
				w.sites, w.noise = 400, noise
				if w.leaks == 0 {
					w.leaks = 12
				}
				w.leaks = max(0, w.leaks)
				seed := uint64(number*1000+k*3+noise) + 1<<32
				if *simTuning {
					seed -= 1 << 31
				}
				d := newDevice(w, seed)
				s := NewSeries(symbol.None, Options{})
				d.run(func(snap *heap.Snapshot) { s.Add(Listing{snap}) })
				g := s.Growth()
				seen := make([]bool, w.sites)
				for i := range g.Sites {
					site := siteOf(&g.Sites[i])
					seen[site] = true
					ours.count(d, site, g.Sites[i].Verdict == Confirmed, g.Sites[i].Reason)
				}
				for site, yes := range prototype(s) {
					theirs.count(d, site, yes, "")
				}
				for site, yes := range seen {
					if !yes && d.leak[site] {
						ours.missed++
						theirs.missed++
					}
				}
				ours.runs++
				theirs.runs++
			}
		}
		line := func(name string, y *tally) string {
			if c.worlds[0].leaks < 0 {
				return fmt.Sprintf("%s: %.2f false alarms a run", name, float64(y.wrong)/float64(y.runs))
			}
			return fmt.Sprintf("%s: precision %.2f, recall %.2f", name, y.precision(), y.recall())
		}
		t.Logf("%-38s %s   %s", c.name, line("ours", &ours), line("prototype", &theirs))
		if *simWorst {
			for k, v := range ours.kinds {
				if v > 1 {
					t.Logf("      %d %s", v, k)
				}
			}
		}
	}
}

func siteOf(s *Site) int { return int(s.Stack[0]-0x1000) / 16 }

// prototype applies the rules that this package started from to the sites of
// a series.
func prototype(s *Series) map[int]bool {
	var p []float64
	ok := map[int]bool{}
	var sites []int
	for _, t := range s.sites.all {
		site := siteOf(&t.Site)
		ok[site] = false
		p = append(p, 1)
		sites = append(sites, site)
		if t.population == nil || len(t.population.columns) < minColumns {
			continue
		}
		j := prototypeRules(t.population.matrix(t, 0))
		ok[site] = j.ok
		p[len(p)-1] = j.p
	}
	for i, yes := range discoveries(p, .05) {
		ok[sites[i]] = ok[sites[i]] && yes
	}
	return ok
}
