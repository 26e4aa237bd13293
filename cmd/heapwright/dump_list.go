package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/leak"
)

// listDump yields the pools of a dump as one listing.
func (in *input) listDump(cmd *cobra.Command, path string, s *source, p *progress, yield func(leak.Listing, error) bool) (more bool, err error) {
	d, err := in.dump(cmd, path, s, p)
	if err != nil {
		return false, err
	}
	defer d.close()
	l, err := d.snapshots()
	if err != nil {
		return false, err
	}
	in.sayAbout(d)
	p.stop()
	in.count++
	for _, snap := range l {
		snap.Label, snap.Boot = fmt.Sprintf("listing %d", in.count), in.boots
	}
	return yield(l, nil), nil
}

// sayAbout adds what is to be said of a dump. Of a series of dumps alike, it is
// said once.
func (in *input) sayAbout(d *dump) {
	notes, warnings := d.about()
	in.notes = append(in.notes, notes...)
	in.warnings = append(in.warnings, warnings...)
}
