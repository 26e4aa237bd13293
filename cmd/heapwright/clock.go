package main

import (
	"fmt"
	"math"
	"time"

	"github.com/heapwright/heapwright/leak"
)

// A clock follows when the listings of several logs were taken, to notice logs
// given in the wrong order.
type clock struct {
	log         string // being read; empty: none of its listings yet
	first, last time.Time
	before      string // the log in front of it that tells time
	until       time.Time
}

// see takes in a listing of a log.
func (c *clock) see(log string, l leak.Listing) {
	c.log = log
	for _, s := range l {
		if s.Time.IsZero() {
			continue
		}
		if c.first.IsZero() {
			c.first = s.Time
		}
		c.last = s.Time
	}
}

// end ends a log, and returns a note if it begins before the one in front of it
// ends.
func (c *clock) end() (note string) {
	if !c.first.IsZero() {
		if back := c.until.Sub(c.first); c.before != "" && back > 0 && back < furthestBack(c.first, c.until) {
			note = fmt.Sprintf("the first listing of %s, of %s, is older than the last of %s, of %s: are the logs in the order in which they were taken?",
				c.log, moment(c.first), c.before, moment(c.until))
		}
		c.before, c.until = c.log, c.last
	}
	c.log, c.first, c.last = "", time.Time{}, time.Time{}
	return note
}

// furthestBack returns by how much less one time may be before another to be
// earlier: not at all where one clock tells the year and the other does not, up
// to half a year or half a day where the year, or the day, may have changed in
// between. What tells no day counts days from January 1 of the year 0.
func furthestBack(a, b time.Time) time.Duration {
	const day = 24 * time.Hour
	switch {
	case (a.Year() > 0) != (b.Year() > 0):
		return 0
	case a.Year() > 0:
		return math.MaxInt64
	case a.Month() == time.January || b.Month() == time.January:
		return day / 2
	}
	return 365 * day / 2
}

// moment formats a time, without what its clock does not tell.
func moment(t time.Time) string {
	switch {
	case t.Year() > 0:
	case t.Month() == time.January:
		return t.Format(time.TimeOnly)
	default:
		return t.Format(time.Stamp)
	}
	return t.Format(time.DateTime)
}
