package leak

// Outcome is what a gate, in continuous integration for example, makes of a
// Growth.
type Outcome struct {
	// Failing are the call sites on which the gate fails, in the order of
	// Growth.Sites.
	Failing []*Site
	// Known and Suppressed count the sites with a verdict that would fail, but
	// for the baseline and the suppressions.
	Known, Suppressed int
	// Inconclusive says that something grew of which the listings cannot tell
	// what it means and which is neither known nor suppressed, or that there
	// are not two listings to compare.
	Inconclusive bool
}

// Gate judges g after a baseline and suppressions, if any, have been applied.
// The least verdict that fails is Confirmed or Suspect; with any other none
// does.
func (g *Growth) Gate(least Verdict) Outcome {
	o := Outcome{Inconclusive: !g.Conclusive()}
	for i := range g.Sites {
		s := &g.Sites[i]
		fails := s.Verdict == Confirmed && (least == Confirmed || least == Suspect) || s.Verdict == Suspect && least == Suspect
		switch {
		case s.Suppressed != "":
			if fails {
				o.Suppressed++
			}
		case s.Baseline:
			if fails {
				o.Known++
			}
		case fails:
			o.Failing = append(o.Failing, s)
		case s.Verdict == Inconclusive:
			o.Inconclusive = true
		}
	}
	return o
}
