package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// listDump yields the pools of a dump as one listing.
func (in *input) listDump(cmd *cobra.Command, path string, s *source, yield func(leak.Listing, error) bool) (more bool, err error) {
	in.drop()
	d, err := in.dump(cmd, path, s)
	if err != nil {
		return false, err
	}
	if in.keep {
		in.kept = d
	} else {
		defer d.close()
	}
	l, err := d.snapshots(func(f *heap.Finding) {
		f.Source = d.name
		in.damage++
		in.dumpFinding(f)
	})
	if err != nil {
		return false, err
	}
	in.sayAbout(d)
	s.progress.stop()
	in.count++
	for _, snap := range l {
		snap.Label, snap.Boot = fmt.Sprintf("listing %d", in.count), in.boots
	}
	return yield(l, nil), nil
}

// drop closes the dump that was kept.
func (in *input) drop() {
	if in.kept != nil {
		in.kept.close()
		in.kept = nil
	}
}

// sayAbout adds what is to be said of a dump. What is the same of several dumps
// is said once.
func (in *input) sayAbout(d *dump) {
	if in.said == nil {
		in.said = map[string]bool{}
	}
	notes, warnings := d.about()
	for _, n := range notes {
		key, _, _ := strings.Cut(strings.ReplaceAll(n, d.name, ""), evidenceMark)
		if !in.said[key] {
			in.said[key] = true
			in.notes = append(in.notes, n)
		}
	}
	in.warnings = append(in.warnings, warnings...)
	l := d.pools[0].About().Layout
	if in.layout != "" && in.layout != l {
		in.warnings = append(in.warnings, fmt.Sprintf("%s and %s are of builds that are configured differently: %s, and %s", in.lastDump, d.name, in.layout, l))
	}
	in.layout, in.lastDump = l, d.name
}
