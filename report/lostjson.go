package report

import "github.com/heapwright/heapwright/leak"

type jsonLost struct {
	Why       *string     `json:"why"`
	Gaps      string      `json:"gaps"`
	Unaligned bool        `json:"unaligned"`
	Used      leak.Amount `json:"used"`
	Direct    leak.Amount `json:"direct"`
	Indirect  leak.Amount `json:"indirect"`
}

type jsonLostSite struct {
	Verdict  leak.Verdict    `json:"verdict"`
	Pool     string          `json:"pool"`
	Used     leak.Amount     `json:"used"`
	Direct   leak.Amount     `json:"direct"`
	Indirect leak.Amount     `json:"indirect"`
	Through  leak.Amount     `json:"through"`
	Heads    []leak.LostHead `json:"heads"`
	Stack    []jsonFrame     `json:"stack"`
}

// lost writes what nothing leads to any more, with a comma behind it.
func (d *doc) lost(u *leak.Unreferenced, o Options) {
	if u == nil {
		return
	}
	j := jsonLost{Gaps: u.Gaps, Unaligned: u.Unaligned, Used: u.Used, Direct: u.Direct, Indirect: u.Indirect}
	if u.Why != "" {
		j.Why = &u.Why
	}
	d.raw("\"unreferenced\":{")
	d.fields(j)
	d.raw(",\"sites\":[")
	for i, s := range u.Sites[:o.shown(len(u.Sites), len(u.Sites))] {
		d.separate(i)
		heads := s.Heads
		if heads == nil {
			heads = []leak.LostHead{}
		}
		d.value(jsonLostSite{s.Verdict, s.Pool, s.Used, s.Direct, s.Indirect, s.Through, heads, jsonStack(s.Frames)})
	}
	d.raw("]},\n")
}
