package leak

import (
	"fmt"
)

// A dump is the last of too few listings of a run, whose nodes tell when they
// were born: the nodes of a site that leaks are of any age. A leak that began
// late looks like churn there.
type dump struct {
	births   map[*track]*ages
	from, to uint64 // ticks
	hz       uint64
	listing  int
}

// ages counts nodes by tenths of the run in which they were born.
type ages struct {
	tenth [10]float64
	bytes [10]uint64
	blind bool // a node does not tell its birth
}

type dumps map[string]*dump // by pool

// dumps counts the ages of the nodes in pools with too few listings to judge.
func (s *Series) dumps() dumps {
	all := dumps{}
	for _, p := range s.pools {
		if len(p.columns) == 0 || len(p.columns) >= minColumns {
			continue
		}
		last := p.columns[len(p.columns)-1]
		d := &dump{births: map[*track]*ages{}, to: last.tick, hz: last.hz, listing: last.number}
		first := ^uint64(0)
		for i := range p.nodes {
			if b := p.nodes[i].birth; b != 0 {
				d.to = max(d.to, b)
				first = min(first, b)
			}
		}
		if d.from = first; d.from >= d.to {
			continue
		}
		for i := range p.nodes {
			n := &p.nodes[i]
			a := d.births[n.cohort.track]
			if a == nil {
				a = &ages{}
				d.births[n.cohort.track] = a
			}
			if n.birth == 0 {
				a.blind = true
				continue
			}
			k := int(min(9, 10*float64(n.birth-d.from)/float64(d.to-d.from)))
			a.tenth[k]++
			a.bytes[k] += n.bytes
		}
		all[p.pool] = d
	}
	return all
}

// judge judges a site by the ages of its nodes, if they tell anything.
func (all dumps) judge(t *track) judgement {
	d := all[t.Pool]
	if d == nil {
		return judgement{}
	}
	a := d.births[t]
	if a == nil || a.blind {
		return judgement{}
	}
	j := judgement{p: 1, verdict: Inconclusive}
	// The first tenth is start-up, the last two are too young.
	old, recent := a.tenth[1]+a.tenth[2]+a.tenth[3], a.tenth[5]+a.tenth[6]+a.tenth[7]
	young := a.tenth[8] + a.tenth[9]
	total := old + a.tenth[4] + recent
	occupied, top := 0, 0.0
	for _, n := range a.tenth[1:8] {
		if n > 0 {
			occupied++
		}
		top = max(top, n)
	}
	switch {
	case total+young == 0:
		j.verdict, j.reason = Stable, "all its nodes were allocated in the first tenth of the run: start-up"
		return j
	case total == 0 || old == 0 && a.tenth[4] == 0:
		j.reason = "its nodes are young: churn, or a leak that began late"
		return j
	case occupied < 4 || top > .6*total || total < 4:
		j.reason = "its nodes are too few, or of too few ages, to tell anything"
		return j
	}
	// Either kind of site that is no leak keeps few of one age: what lives for
	// a while few old nodes, what stops few recent ones.
	const few = .3
	j.p = max(binomialTail(old, old+recent, few/(1+few)), binomialTail(recent, old+recent, few/(1+few)))
	j.candidate, j.tested, j.weak = true, true, true
	j.reason = fmt.Sprintf("holds nodes of all ages: %s born from 10 to 40 %% of the run, %s from 50 to 80 %%", nodes(old), number(recent))
	j.leaked = int(total)
	for _, b := range a.bytes[1:8] {
		j.leakedBytes += b
	}
	j.climb = climb{from: d.listing, to: d.listing, nodes: total, bytes: j.leakedBytes}
	if d.hz > 0 {
		j.climb.hours = .7 * float64(d.to-d.from) / float64(d.hz) / 3600
	}
	return j
}
