package leak

import (
	"testing"
)

func TestLeakSeriesVerdicts(t *testing.T) {
	listings, sym := leakSeries(t)
	s := NewSeries(sym, Options{})
	for _, l := range listings {
		s.Add(l)
	}
	for _, site := range s.Growth().Sites {
		t.Logf("%-12s p=%.2g leaked %d %+d %s: %s", site.Verdict, site.P, site.LeakedNodes, site.Growth, chain(site.Frames), site.Reason)
	}
}
