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
	simRuns   = flag.Int("sim.runs", 1, "simulated devices per condition and level of noise")
	simTuning = flag.Bool("sim.tuning", false, "simulate the devices that the rules were tuned on, not those that judge them")
	simKinds  = flag.Bool("sim.kinds", false, "show which kinds of sites are judged wrongly")
)

// A condition is worlds that are counted together, and what must be reached
// there: less than what is reached in many runs (see the package comment), as
// a few runs vary.
type condition struct {
	name              string
	worlds            []world
	precision, recall float64
	alarms            float64 // false ones a run
}

func soak(listings int) world { return world{listings: listings, length: float64(listings)} }

func hard(listings int) world {
	w := soak(listings)
	w.hard = true
	return w
}

var (
	longSoak = world{listings: 5, length: 40, long: true}
	hardOnes = []world{hard(30), hard(60), hard(100)}
	// Listings that are cut without a sign, and such as lack some rows.
	cutOnes   = spoilt(func(w *world) { w.silent = true })
	lossyOnes = spoilt(func(w *world) { w.lossy = true })
)

func spoilt(how func(*world)) []world {
	worlds := []world{soak(10), soak(30), soak(100)}
	for i := range worlds {
		how(&worlds[i])
	}
	return worlds
}

var conditions = []condition{
	{"5 listings over a long soak", []world{longSoak}, .9, .7, 0},
	{"10 listings", []world{soak(10)}, .9, .7, 0},
	{"30 listings", []world{soak(30)}, .9, .85, 0},
	{"100 listings", []world{soak(100)}, .9, .85, 0},
	{"hard lifetimes, 30 to 100 listings", hardOnes, .75, .8, 0},
	{"no leak, 5 listings over a long soak", []world{longSoak}, 0, 0, 1},
	{"no leak, 10 listings", []world{soak(10)}, 0, 0, .5},
	{"no leak, 30 listings", []world{soak(30)}, 0, 0, .5},
	{"no leak, 100 listings", []world{soak(100)}, 0, 0, .5},
	{"no leak, hard lifetimes", hardOnes, 0, 0, 3},
	{"cut silently, 10 to 100 listings", cutOnes, .9, .7, 0},
	{"no leak, cut silently", cutOnes, 0, 0, .5},
	{"rows lost, 10 to 100 listings", lossyOnes, .9, .8, 0},
	{"no leak, rows lost", lossyOnes, 0, 0, .5},
}

// TestSimulator measures how well leaks are told from the rest, on devices
// whose seeds were not used for tuning, against the rules of the prototype on
// the same devices. The figures in the package comment come from
//
//	go test -run TestSimulator -v ./leak -args -sim.runs 10
func TestSimulator(t *testing.T) {
	for number, c := range conditions {
		t.Run(c.name, func(t *testing.T) { c.simulate(t, number) })
	}
}

func (c *condition) simulate(t *testing.T, number int) {
	var ours, theirs tally
	for k := range *simRuns {
		for noise := range 3 {
			if testing.Short() && noise != 1 {
				continue
			}
			w := c.worlds[(k+noise)%len(c.worlds)]
			w.sites, w.noise = 400, noise
			if c.alarms == 0 {
				w.leaks = 12
			}
			seed := uint64(number*1000+k*3+noise) + 1<<32
			if *simTuning {
				seed -= 1 << 31
			}
			judge(newDevice(w, seed), &ours, &theirs)
		}
	}
	if c.alarms > 0 {
		t.Logf("%-38s %.2f false alarms a run; prototype %.2f", c.name, ours.alarms(), theirs.alarms())
	} else {
		t.Logf("%-38s precision %.2f, recall %.2f; prototype %.2f, %.2f", c.name, ours.precision(), ours.recall(), theirs.precision(), theirs.recall())
	}
	if *simKinds {
		for kind, n := range ours.kinds {
			t.Logf("    %d %s", n, kind)
		}
	}
	if testing.Short() { // one device
		c.precision, c.recall, c.alarms = c.precision-.1, c.recall-.15, 2*c.alarms
	}
	if c.alarms > 0 && ours.alarms() > c.alarms || ours.precision() < c.precision || ours.recall() < c.recall {
		t.Errorf("that is worse than it has to be: precision %.2f, recall %.2f or %.2f false alarms a run", c.precision, c.recall, c.alarms)
	}
}

// judge counts what a series, and the prototype, say about a device.
func judge(d *device, ours, theirs *tally) {
	s := NewSeries(symbol.None, Options{})
	d.run(func(snap *heap.Snapshot) { s.Add(Listing{snap}) })
	g := s.Growth()
	reasons := make([]string, d.sites)
	confirmed := make([]bool, d.sites)
	for i := range g.Sites {
		site := siteOf(&g.Sites[i])
		reasons[site] = g.Sites[i].Reason
		confirmed[site] = g.Sites[i].Verdict == Confirmed
	}
	prototype := prototype(s)
	for site := range d.sites {
		ours.count(d, site, confirmed[site], reasons[site])
		theirs.count(d, site, prototype[site], "")
	}
	ours.runs++
	theirs.runs++
}

func siteOf(s *Site) int { return int(s.Stack[0]-0x1000) / 16 }

// prototype returns which sites of a series the prototype's rules confirm.
func prototype(s *Series) map[int]bool {
	var p []float64
	var candidates []int // -1: none
	for _, t := range s.sites.all {
		f := prototypeFinding{p: 1}
		if t.population != nil && len(t.population.columns) >= minColumns {
			f = prototypeRules(t.population.matrix(t, 0))
		}
		p = append(p, f.p)
		if f.ok {
			candidates = append(candidates, siteOf(&t.Site))
		} else {
			candidates = append(candidates, -1)
		}
	}
	confirmed := map[int]bool{}
	for i, yes := range discoveries(p, .05) {
		if yes {
			confirmed[candidates[i]] = true
		}
	}
	return confirmed
}

// A tally counts verdicts against the truth.
type tally struct {
	runs, right, wrong, missed int
	kinds                      map[string]int // of wrong verdicts
}

func (t *tally) count(d *device, site int, confirmed bool, reason string) {
	switch {
	case confirmed && d.leak[site]:
		t.right++
		return
	case confirmed:
		t.wrong++
		reason = "a false alarm"
	case d.leak[site]:
		t.missed++
	default:
		return
	}
	if t.kinds == nil {
		t.kinds = map[string]int{}
	}
	if i := strings.IndexAny(reason, "0123456789"); i > 0 {
		reason = reason[:i]
	}
	t.kinds[fmt.Sprintf("%s: %s", d.kind[site], reason)]++
}

func share(part, rest int) float64 {
	if part+rest == 0 {
		return 1
	}
	return float64(part) / float64(part+rest)
}

func (t *tally) precision() float64 { return share(t.right, t.wrong) }
func (t *tally) recall() float64    { return share(t.right, t.missed) }
func (t *tally) alarms() float64    { return float64(t.wrong) / float64(t.runs) }
