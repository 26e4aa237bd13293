package leak

import (
	"cmp"
	"fmt"
	"slices"
)

// falseShare is the share of the confirmed sites that may be false.
const falseShare = .05

// falseChance is how probable chance may be for a suspect.
const falseChance = .05

// leastEvents is how many independent births of nodes that stay it takes to
// confirm a leak: with fewer a single one more or less decides.
const leastEvents = 5

// judge fills in the verdicts of all sites, and what is compared. It returns
// what they are made of.
func (s *Series) judge(g *Growth) []judgement {
	found := make([]judgement, len(s.sites.all))
	// What tells less has a family of its own, so that it does not make the
	// others look better than they are.
	var strong, weak family
	dumps := s.dumps()
	windows := make(map[string]Window, len(g.Pools))
	for _, w := range g.Pools {
		windows[w.Pool] = w
	}
	for i, t := range s.sites.all {
		site := &g.Sites[i]
		*site = t.Site
		w := windows[site.Pool]
		j, runs := t.gravest(s, w)
		if j.from == 0 || !j.candidate && j.from != w.First && w.Conclusive() && j.verdict == Stable {
			site.From, site.To = w.First, w.Last
		} else {
			site.From, site.To = j.from, j.to
		}
		if j.verdict == "" {
			j = s.unjudged(t, w)
			if k := dumps.judge(t); k.verdict != "" {
				j, g.Aged = k, true
			}
		}
		if j.candidate {
			j.p = min(1, j.p*float64(max(1, runs)))
		}
		switch {
		case j.weak:
			weak.add(i, j.p)
		case j.tested:
			strong.add(i, j.p)
		}
		found[i] = j
	}
	proven := make([]bool, len(found))
	strong.prove(proven)
	weak.prove(proven)
	for i := range found {
		found[i].conclude(&g.Sites[i], proven[i])
		if w := windows[g.Sites[i].Pool]; w.Runs > 1 && found[i].from != 0 {
			g.Sites[i].Reason += fmt.Sprintf(" (in run %d, %s)", found[i].run+1, s.span(found[i].from, found[i].to))
		}
	}
	return found
}

// A family is tests of which a share of those that hold may be false.
type family struct {
	p     []float64
	sites []int
}

func (f *family) add(site int, p float64) {
	f.p, f.sites = append(f.p, p), append(f.sites, site)
}

func (f *family) prove(proven []bool) {
	for k, yes := range discoveries(f.p, falseShare) {
		proven[f.sites[k]] = yes
	}
}

// span names listings as reports count them.
func (s *Series) span(from, to int) string {
	if from == to {
		return fmt.Sprintf("listing %d", from+s.skipped)
	}
	return fmt.Sprintf("listings %d to %d", from+s.skipped, to+s.skipped)
}

// conclude turns a judgement into a verdict.
func (j *judgement) conclude(site *Site, proven bool) {
	site.Verdict, site.Reason, site.P = j.verdict, j.reason, 1
	if !j.candidate {
		return
	}
	site.P = j.p
	switch {
	case proven && !j.weak && j.events >= leastEvents:
		site.Verdict = Confirmed
	case j.p <= falseChance && (proven || !j.weak):
		site.Verdict = Suspect
	}
	switch {
	case j.weak && site.Verdict != Suspect:
		return
	case j.weak:
	case site.Verdict == Stable && j.freed > 0:
		site.Reason = fmt.Sprintf("nodes are still freed now and then: %s of the %s", number(j.freed), j.old())
		return
	case site.Verdict == Stable:
		site.Reason = fmt.Sprintf("none of the %s was freed, but so few may be chance", j.old())
		return
	case j.freed == 0:
		site.Reason = fmt.Sprintf("new nodes keep coming, and none of the %s was ever freed", j.old())
	default:
		site.Reason = fmt.Sprintf("new nodes keep coming, and of the %s only %s %s ever freed", j.old(), number(j.freed), were(j.freed))
	}
	if site.Verdict == Suspect && !j.weak {
		site.Reason += "; too few to exclude chance"
	}
	site.LeakedNodes = j.leaked
	if site.Sized {
		site.LeakedBytes = j.leakedBytes
	}
}

// old names the mature nodes.
func (j *judgement) old() string {
	s := nodes(j.mature) + " born since the first listing"
	if j.since != j.first {
		s = fmt.Sprintf("%s born since listing %d", nodes(j.mature), j.since)
	}
	if j.age > 0 {
		s += " that got older than " + j.older
	}
	return s
}

// unjudged is about a site in runs that are too short.
func (s *Series) unjudged(t *track, w Window) judgement {
	j := judgement{p: 1, verdict: Inconclusive}
	grown := t.At(w.Last).Nodes - t.At(w.First).Nodes
	switch {
	case w.First == w.Last:
		j.reason = "a single listing shows no growth"
	case !w.Conclusive():
		j.reason = "the listings are partial"
	case grown > 0:
		j.reason = fmt.Sprintf("grew by %s, but %s cannot tell a leak from a cache: it takes %d", nodes(float64(grown)), listings(w.Complete), minColumns)
	default:
		j.verdict, j.reason = Stable, fmt.Sprintf("did not grow over %s", listings(w.Complete))
	}
	return j
}

// gravest returns the gravest judgement of a site over all runs, and how many
// runs counted as tests. Without a verdict, no run was long enough.
func (t *track) gravest(s *Series, w Window) (judgement, int) {
	if t.counts {
		return s.trend(t, w), 0
	}
	best, tests := t.past, t.tests
	if p := s.pools[t.Pool]; t.population == p {
		if j := p.judge(t, s.skipped); j.verdict != "" {
			if j.tested {
				tests++
			}
			best = graver(best, j)
		}
	}
	return best, tests
}

func graver(a, b judgement) judgement {
	rank := func(j judgement) int {
		switch {
		case j.candidate:
			return 0
		case j.verdict == "":
			return len(Verdicts)
		}
		return slices.Index(Verdicts, j.verdict)
	}
	if c := cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.p, b.p)); c < 0 {
		return a
	}
	b.tested = a.tested || b.tested
	return b
}

// close judges the sites of a run that ended, and forgets their nodes.
func (s *Series) close(p *population) {
	for _, t := range p.tracks {
		if j := p.judge(t, s.skipped); j.verdict != "" {
			if j.tested {
				t.tests++
			}
			j.past, j.ends = true, [2]Count{t.At(j.from), t.At(j.to)}
			t.past = graver(t.past, j)
		}
		t.population, t.cohorts = nil, nil
	}
}

// judge judges a site in a run; without a verdict, the run is too short.
func (p *population) judge(t *track, skipped int) judgement {
	if len(p.columns) < minColumns {
		return judgement{}
	}
	m := p.matrix(t, skipped)
	j := generation(m)
	j.run, j.from, j.to = p.run, p.columns[0].number, p.columns[m.n-1].number
	if n := p.hidden(t); n > 0 && !j.candidate && t.cohorts[len(t.cohorts)-1].born > 0 {
		j.verdict = Inconclusive
		j.reason = fmt.Sprintf("up to listing %d %s; the %d listings after it all stop at %s, below %d of its nodes", j.to+skipped, j.reason, p.halt.count, p.halt.at, n)
	}
	if end := m.n - 1 - j.age; j.candidate && end > 0 {
		for _, c := range t.cohorts {
			if c.born > 0 && c.born <= end {
				j.leaked += c.alive
				j.leakedBytes += c.bytes
			}
		}
		j.climb = m.pace(t.cohorts, end)
	}
	return j
}
