package leak

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// The simulator: a device with 400 call sites of known behaviour and an
// allocator that uses addresses again, listed from time to time. Time is in
// units that mean nothing by themselves; a soak takes length of them.

// world is the condition under which a device is watched.
type world struct {
	listings int
	length   float64 // of the soak, in units
	hard     bool    // lifetimes with heavy tails, and long constant ones
	long     bool    // six times as long as anything legitimate takes, not three times
	noise    int     // 0 none, 1 some, 2 much
	silent   bool    // listings are cut without a sign
	lossy    bool    // each listing lacks up to 2% of its nodes
	leaks    int     // leaking sites
	sites    int
}

// A life is one allocation of a site.
type life struct{ born, died float64 }

var forever = math.Inf(1)

// A device is a world drawn by lot.
type device struct {
	world
	*rand.Rand
	start   float64 // uptime before the first listing is -start
	longest float64 // what is bounded takes no longer
	lost    int     // listings missed or cut
	kind    []string
	leak    []bool
	lives   [][]life
}

// maxLives bounds the allocations of a site.
const maxLives = 6000

var benign = []struct {
	name string
	make func(d *device) []life
}{
	{"boot", (*device).boot},
	{"churn", (*device).churn},
	{"cache that fills", (*device).cache},
	{"LRU", (*device).lru},
	{"sawtooth", (*device).sawtooth},
	{"sessions", (*device).sessions},
	{"warm-up", (*device).warmUp},
	{"one-off step", (*device).oneOff},
	{"diurnal queue", (*device).diurnal},
}

var leaky = []struct {
	name string
	make func(d *device) []life
}{
	{"steady", (*device).steady},
	{"slow", (*device).slow},
	{"bursty", (*device).bursty},
	{"partial", (*device).partial},
	{"late", (*device).late},
	{"accelerating", (*device).accelerating},
}

func newDevice(w world, seed uint64) *device {
	d := &device{world: w, Rand: rand.New(rand.NewPCG(seed, 0x6865617077726967))}
	d.start = -d.between(.01, .3) * d.length
	if d.IntN(2) == 0 {
		d.start = -d.between(.5, 2) * d.length
	}
	d.longest = d.length / 3
	switch {
	case w.hard:
		d.longest = .75 * d.length
	case w.long:
		d.longest = d.length / 6
	}
	for i := range w.sites {
		if i < w.leaks {
			k := leaky[d.IntN(len(leaky))]
			d.kind, d.leak, d.lives = append(d.kind, k.name), append(d.leak, true), append(d.lives, k.make(d))
		} else {
			k := benign[d.IntN(len(benign))]
			d.kind, d.leak, d.lives = append(d.kind, k.name), append(d.leak, false), append(d.lives, k.make(d))
		}
	}
	return d
}

func (d *device) between(a, b float64) float64 { return a + (b-a)*d.Float64() }

// around is log-uniform.
func (d *device) around(a, b float64) float64 { return a * math.Pow(b/a, d.Float64()) }

// arrivals are Poisson with a rate that depends on time and is at most top.
func (d *device) arrivals(from, top float64, rate func(t float64) float64) []float64 {
	top = min(top, maxLives/(d.length-from))
	var at []float64
	for t := from; ; {
		t += d.ExpFloat64() / top
		if t > d.length {
			return at
		}
		if d.Float64()*top < rate(t) {
			at = append(at, t)
		}
	}
}

func (d *device) steadyArrivals(from, rate float64) []float64 {
	return d.arrivals(from, rate, func(float64) float64 { return rate })
}

// lifetimes returns a distribution whose usual lifetime is around mean.
func (d *device) lifetimes(mean float64) func() float64 {
	if !d.hard {
		return func() float64 { return mean * d.ExpFloat64() }
	}
	switch d.IntN(4) {
	case 0: // Pareto
		alpha := d.between(1.1, 2)
		least := d.between(.05, 1)
		return func() float64 { return least * math.Pow(1-d.Float64(), -1/alpha) }
	case 1: // log-normal
		sigma, median := d.between(1, 2), d.around(.1, d.length/20)
		return func() float64 { return median * math.Exp(sigma*d.NormFloat64()) }
	case 2: // constant and long
		long := d.between(.1, 1) * d.longest
		return func() float64 { return long * d.between(.95, 1.05) }
	}
	return func() float64 { return mean * d.ExpFloat64() }
}

func live(births []float64, lifetime func() float64) []life {
	all := make([]life, len(births))
	for i, t := range births {
		all[i] = life{t, t + lifetime()}
	}
	return all
}

func immortal() float64 { return forever }

func (d *device) boot() []life {
	all := make([]life, int(d.around(1, 50)))
	for i := range all {
		all[i] = life{d.start, forever}
	}
	return all
}

// load draws the lifetime and the rate of a site that holds some nodes.
func (d *device) load(longest float64) (mean, rate float64) {
	mean = d.around(.05, longest)
	return mean, min(d.around(.5, 60)/mean, 40)
}

func (d *device) churn() []life {
	mean, rate := d.load(min(d.length/8, d.longest/2.5))
	return live(d.steadyArrivals(d.start, rate), d.lifetimes(mean))
}

// A cache fills at a steady rate, or the slower the fuller it is.
func (d *device) cache() []life {
	size := int(d.around(4, 60))
	from := max(d.start, -.2*d.length)
	full := d.between(.05, 1) * min(d.longest, d.length/3)
	t := from
	saturating := d.IntN(2) == 0
	var births []float64
	for i := range size {
		rate := float64(size) / (full - from)
		if saturating {
			rate = 3 * float64(size-i) / (full - from)
		}
		t += d.ExpFloat64() / rate
		if t > d.length {
			break
		}
		births = append(births, t)
	}
	return live(births, immortal)
}

// An LRU is full at some time and replaces its oldest node or any.
func (d *device) lru() []life {
	size := int(d.around(4, 60))
	births := d.steadyArrivals(d.start, float64(size)/(d.between(.05, 1)*d.longest))
	oldest := d.IntN(2) == 0
	const moment = 1e-6
	when := moment // makes room before the new node comes, or after
	if d.IntN(2) == 0 {
		when = -moment
	}
	all := live(births, immortal)
	var held []int
	for i := range all {
		if len(held) == size {
			k := 0
			if !oldest {
				k = d.IntN(size)
			}
			all[held[k]].died = max(all[held[k]].born, all[i].born+when)
			held = slices.Delete(held, k, k+1)
		}
		held = append(held, i)
	}
	return all
}

func (d *device) sawtooth() []life {
	period := d.between(.1, 1) * d.longest
	phase := d.Float64() * period
	births := d.steadyArrivals(d.start, d.around(4, 60)/period)
	all := live(births, immortal)
	for i := range all {
		all[i].died = phase + period*math.Ceil((all[i].born-phase)/period)
	}
	return all
}

// Sessions come with a load that rises and falls again.
func (d *device) sessions() []life {
	mean := d.around(d.length/60, min(d.length/8, d.longest/2.5))
	peak, width := d.between(.3, .7)*d.length, d.between(.2, .4)*d.length
	rate := d.around(3, 60) / mean
	return live(d.arrivals(d.start, rate, func(t float64) float64 {
		return rate * max(.05, 1-math.Abs(t-peak)/width)
	}), d.lifetimes(mean))
}

func (d *device) warmUp() []life {
	tau := d.between(.2, 1) * min(.15*d.length, d.longest/2)
	from := max(d.start, -tau)
	rate := d.around(4, 60) / tau
	return live(d.arrivals(from, rate, func(t float64) float64 { return rate * math.Exp(-(t-from)/tau) }), immortal)
}

func (d *device) oneOff() []life {
	t, took := d.between(.05, .95)*d.length, d.between(0, .02)*d.length
	all := make([]life, int(d.around(2, 50)))
	for i := range all {
		all[i] = life{t + took*d.Float64(), forever}
	}
	return all
}

func (d *device) diurnal() []life {
	mean := d.around(d.length/300, d.length/15)
	period, phase := d.between(.2, 1)*d.length, d.Float64()
	rate := min(d.around(1, 60)/mean, 40)
	return live(d.arrivals(d.start, rate, func(t float64) float64 {
		return rate / 2 * (1.02 + math.Sin(2*math.Pi*(t/period+phase)))
	}), d.lifetimes(mean))
}

// leakRate is in nodes a unit.
func (d *device) leakRate() float64 { return d.around(1, 15) }

func (d *device) steady() []life {
	return live(d.steadyArrivals(d.start, d.leakRate()), immortal)
}

func (d *device) slow() []life {
	return live(d.steadyArrivals(d.start, d.around(8, 30)/d.length), immortal)
}

func (d *device) bursty() []life {
	var births []float64
	size := 2 + d.IntN(10)
	for _, t := range d.steadyArrivals(d.start, d.around(6, 40)/d.length) {
		for range 1 + d.IntN(size) {
			births = append(births, t)
		}
	}
	return live(births, immortal)
}

// Some paths of a site that usually frees forget to.
func (d *device) partial() []life {
	mean, rate := d.load(d.length / 10)
	all := live(d.steadyArrivals(d.start, rate), d.lifetimes(mean))
	share := min(.5, d.leakRate()/rate)
	for i := range all {
		if d.Float64() < share {
			all[i].died = forever
		}
	}
	return all
}

func (d *device) late() []life {
	return live(d.steadyArrivals(d.between(.2, .5)*d.length, d.leakRate()), immortal)
}

func (d *device) accelerating() []life {
	rate := 2 * d.leakRate()
	from := max(0, d.start)
	return live(d.arrivals(from, rate, func(t float64) float64 { return rate * t / d.length }), immortal)
}

// times are when listings are taken; some are missed. Of all listings no more
// than a fifth is missed or cut.
func (d *device) times() []float64 {
	step := d.length / float64(d.listings-1)
	jitter := []float64{0, .3, .6}[d.noise]
	missed := []float64{0, .04, .1}[d.noise]
	var at []float64
	for i := range d.listings {
		if i > 0 && i < d.listings-1 && d.Float64() < missed && d.lost < d.listings/5 {
			d.lost++
			continue
		}
		t := step * float64(i)
		if i > 0 && i < d.listings-1 {
			t += jitter * step * (d.Float64() - .5)
		}
		at = append(at, t)
	}
	return at
}

// stackOf names a site.
func stackOf(site int) heap.Stack { return heap.Stack{heap.Addr(0x1000 + 16*site), 0x100} }

// run lists the device from time to time.
func (d *device) run(yield func(*heap.Snapshot)) {
	type event struct {
		t    float64
		site int32
		node int32 // -1-i is the death of i
	}
	var events []event
	stacks := make([]heap.Stack, d.sites)
	for site := range stacks {
		stacks[site] = stackOf(site)
	}
	class := make([]int, d.sites)
	for s, lives := range d.lives {
		if class[s] = d.IntN(12); d.IntN(3) == 0 {
			class[s] = 12 + s // a size of its own: memory comes back to the site
		}
		for i, l := range lives {
			events = append(events, event{l.born, int32(s), int32(i)})
			if l.died <= d.length {
				events = append(events, event{l.died, int32(s), int32(-1 - i)})
			}
		}
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.t, b.t) })
	const first, nodeSize = 0x20000000, 64
	var owner []int32 // the site of the node at each slot, -1: free
	free := make([][]int32, 12+d.sites)
	slot := make([][]int32, d.sites)
	for site := range slot {
		slot[site] = make([]int32, len(d.lives[site]))
	}
	cut := []float64{0, .05, .15}[d.noise]
	if d.silent {
		cut = .15
	}
	k := 0
	for _, t := range d.times() {
		for ; k < len(events) && events[k].t <= t; k++ {
			e := events[k]
			list := &free[class[e.site]]
			switch n := len(*list); {
			case e.node < 0:
				at := slot[e.site][-1-e.node]
				*list = append(*list, at)
				owner[at] = -1
			case n > 0:
				at := (*list)[n-1]
				*list = (*list)[:n-1]
				owner[at], slot[e.site][e.node] = e.site, at
			default:
				slot[e.site][e.node] = int32(len(owner))
				owner = append(owner, e.site)
			}
		}
		s := &heap.Snapshot{}
		for at, site := range owner {
			if site >= 0 {
				s.Nodes = append(s.Nodes, heap.Node{Addr: first + nodeSize*heap.Addr(at), Stack: stacks[site]})
			}
		}
		if t > 0 && (t < d.length || d.silent) && d.Float64() < cut && d.lost < d.listings/5 {
			d.lost++
			s.Nodes = s.Nodes[:d.IntN(len(s.Nodes)+1)]
			if !d.silent {
				s.Partial = "cut"
			}
		}
		if d.lossy {
			s.Missing = d.IntN(1 + len(s.Nodes)/50)
			for range s.Missing {
				i := d.IntN(len(s.Nodes))
				s.Nodes = slices.Delete(s.Nodes, i, i+1)
			}
			if s.Missing > 0 {
				s.Partial = "rows unreadable"
			}
		}
		yield(s)
	}
}
