package report_test

import (
	"log"
	"os"

	"github.com/heapwright/heapwright/console"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/report"
	"github.com/heapwright/heapwright/symbol"
)

// From a console log to a table of what grows.
func ExampleGrowthText() {
	f, err := os.Open("../console/testdata/leak-series.log")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	sym, err := symbol.Open("../console/testdata/leak-series.nm.txt")
	if err != nil {
		log.Fatal(err)
	}
	series := leak.NewSeries(sym, leak.Options{})
	for listing, err := range leak.Listings(console.NewReader(f, "leak-series.log").Snapshots()) {
		if err != nil {
			log.Fatal(err)
		}
		series.Add(listing)
	}
	options := report.Options{Width: 80, Top: 4}
	if err := report.GrowthText(os.Stdout, series.Growth(), nil, options); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 7 listings in leak-series.log, lines 107 to 1678: 132 nodes at first, 362 at
	// last; 5 of 26 call sites grew.
	//
	// growth   1   2   3   4   5   6    7  call chain, innermost first
	//    +83  19  32  49  65  81  97  102  app_malloc <- pkt_alloc <- net_rx
	//    +83  19  32  49  65  81  97  102  sensor_read_sample <- sensor_process <-
	//                                        sensor_task
	//    +41  10  16  25  33  40  49   51  malloc <- log_dup <- log_line
	//    +20  10  16  25  30  30  30   30  cache_fill <- cache_task <- OsTaskEntry
	// 1 more call site grew, 21 did not
	//
	// Growth alone is not a leak: a cache grows too, then stops. Look for rows that
	// never level off.
}
