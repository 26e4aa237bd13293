package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// A bound chooses a listing: by its number, counted from 1, or by a text, as
// the one that follows the first line of the log in which the text stands. The
// zero bound is open. It implements pflag.Value.
type bound struct {
	number int // 0: open, or not yet found
	mark   string
}

func (b *bound) Set(s string) error {
	n, err := strconv.Atoi(s)
	switch {
	case s == "":
		return errors.New("give the number of a listing, or a text in the log in front of it")
	case err != nil:
		*b = bound{mark: s}
	case n < 1:
		return fmt.Errorf("it is the number of a listing, counted from 1, not %d", n)
	default:
		*b = bound{number: n}
	}
	return nil
}

func (b *bound) Type() string { return "N|TEXT" }

func (b *bound) String() string {
	if b.mark != "" || b.number == 0 {
		return b.mark
	}
	return strconv.Itoa(b.number)
}

// find takes in listing n.
func (b *bound) find(l leak.Listing, n int) {
	if b.number == 0 && b.mark != "" && slices.ContainsFunc(l, func(s *heap.Snapshot) bool { return slices.Contains(s.Marks, b.mark) }) {
		b.number = n
	}
}

// window is a range of listings, both bounds included.
type window struct{ from, to bound }

func (w *window) flags(cmd *cobra.Command, from, to string) {
	const choice = ": `N|TEXT`, its number or a text in a line before it (default: the "
	cmd.Flags().Var(&w.from, "from", "first listing compared"+choice+from+")")
	cmd.Flags().Var(&w.to, "to", "last listing compared"+choice+to+")")
}

func (w *window) check(cmd *cobra.Command) error {
	if w.from.number > 0 && w.to.number > 0 && w.from.number > w.to.number {
		return usageError(cmd, w.order())
	}
	return nil
}

func (w *window) order() error {
	return fmt.Errorf("--from %s is behind --to %s", &w.from, &w.to)
}

// open reports whether it holds all listings.
func (w *window) open() bool { return w.from == bound{} && w.to == bound{} }

// marks returns the texts that the log is to be searched for.
func (w *window) marks() []string {
	var all []string
	for _, b := range []bound{w.from, w.to} {
		if b.mark != "" {
			all = append(all, b.mark)
		}
	}
	return all
}

// place takes in the next listing, number n, and returns -1 if it lies in
// front of the window, 0 if in it and 1 if behind it.
func (w *window) place(l leak.Listing, n int) int {
	w.from.find(l, n)
	w.to.find(l, n)
	switch {
	case w.from.mark != "" && w.from.number == 0, n < w.from.number:
		return -1
	case w.to.number > 0 && n > w.to.number:
		return 1
	}
	return 0
}

// within reports what is wrong with the window once all listings are known.
func (w *window) within(listings int) error {
	for _, b := range []bound{w.from, w.to} {
		switch {
		case b.mark != "" && b.number == 0:
			return fmt.Errorf("no listing follows a line with %q in it: %s", b.mark, holding(listings))
		case b.number > listings:
			return fmt.Errorf("there is no listing %d: %s", b.number, holding(listings))
		}
	}
	if w.to.number > 0 && w.from.number > w.to.number {
		return fmt.Errorf("%w: that is listing %d, and this listing %d", w.order(), w.from.number, w.to.number)
	}
	return nil
}

// only says that the window holds a single listing.
func (w *window) only(listing string) string {
	var bounds []string
	for name, b := range map[string]bound{"--from": w.from, "--to": w.to} {
		if b.number > 0 {
			bounds = append(bounds, name+" "+b.given())
		}
	}
	slices.Sort(bounds)
	if len(bounds) == 2 {
		return strings.Join(bounds, " and ") + " both mean " + listing
	}
	return strings.Join(bounds, "") + " leaves only " + listing
}

// given is the bound as it was given.
func (b bound) given() string {
	if b.mark != "" {
		return strconv.Quote(b.mark)
	}
	return strconv.Itoa(b.number)
}

func holding(listings int) string {
	if listings == 1 {
		return "the log holds one listing"
	}
	return fmt.Sprintf("the log holds %d listings", listings)
}
