package leak_test

import (
	"fmt"
	"log"
	"os"

	"github.com/heapwright/heapwright/console"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/symbol"
)

// The call sites that grow over the listings of a console log.
func Example() {
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
	for _, site := range series.Growth().Sites[:3] {
		fmt.Printf("%+d %s, called by %s\n", site.Growth, site.Frames[0], site.Frames[1])
	}
	// Output:
	// +83 app_malloc, called by pkt_alloc
	// +83 sensor_read_sample, called by sensor_process
	// +41 malloc, called by log_dup
}
