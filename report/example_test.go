package report_test

import (
	"log"
	"os"

	"github.com/heapwright/heapwright/console"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/report"
	"github.com/heapwright/heapwright/symbol"
)

// From a console log to a table of what leaks.
func ExampleText() {
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
	if err := report.Text(os.Stdout, &report.Document{Growth: series.Growth()}, options); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 3 call sites leak; 23 stable.
	// 7 listings in leak-series.log, lines 107 to 1678: 132 nodes at first, 362 at
	// last.
	//
	// #  verdict    trend     nodes         rate  allocated by
	// 1  CONFIRMED  ▂▃▄▅▇██  19→102   14/listing  app_malloc <- pkt_alloc <- net_rx
	//      new nodes keep coming, and none of the 83 nodes born since the first
	//      listing was ever freed
	// 2  CONFIRMED  ▂▃▄▅▇██  19→102   14/listing  sensor_read_sample
	//      <- sensor_process <- sensor_task
	//      new nodes keep coming, and none of the 83 nodes born since the first
	//      listing was ever freed
	// 3  CONFIRMED  ▂▃▄▆▆██  10→ 51  6.8/listing  log_dup <- log_line (through malloc)
	//      new nodes keep coming, and none of the 41 nodes born since the first
	//      listing was ever freed
	// 4  STABLE     ▃▅▇████  10→ 30               cache_fill
	//      <- cache_task <- OsTaskEntry
	//      fills to 30 nodes and stops: no new node stays after listing 4
	// Call sites not shown: 1 that grew, 21 that did not grow.
}
