package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ingle/store"
)

// Metrics are the server's own figures in the form of Prometheus. A nil
// *Metrics keeps none.
type Metrics struct {
	registry *prometheus.Registry
	duration *prometheus.HistogramVec
	rows     *prometheus.CounterVec
	index    prometheus.Histogram
	flying   prometheus.Gauge
}

// NewMetrics makes metrics for a database and its server.
func NewMetrics(db *store.DB, version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "fhir_request_duration_seconds", Help: "Time from the request's headers to the end of the answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"interaction", "type", "status"}),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fhir_resources_total", Help: "Resources read or written by requests.",
		}, []string{"interaction"}),
		index: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "fhir_index_duration_seconds", Help: "Time to take the index rows out of one resource.",
			Buckets: []float64{.000005, .00001, .000025, .00005, .0001, .00025, .0005, .001, .01, .1},
		}),
		flying: prometheus.NewGauge(prometheus.GaugeOpts{Name: "http_requests_in_flight", Help: "Requests that are being answered."}),
	}
	m.registry.MustRegister(m.duration, m.rows, m.index, m.flying, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), poolCollector{db})
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "ingle_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(build)
	return m
}

// Handler serves the figures.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Registry lets other rooms add figures of their own.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Indexed notes the time of one resource's index rows; it is made for
// interaction.Config.Indexed.
func (m *Metrics) Indexed(took time.Duration) {
	if m != nil {
		m.index.Observe(took.Seconds())
	}
}

func (m *Metrics) inFlight(n float64) {
	if m != nil {
		m.flying.Add(n)
	}
}

// observe notes a finished request. The labels are of fixed sets: interactions
// and registered operations, resource types, classes of status.
func (m *Metrics) observe(interaction, resourceType string, status int, took time.Duration, rows int) {
	if m == nil || interaction == "none" && status < 400 {
		return
	}
	m.duration.WithLabelValues(interaction, resourceType, strconv.Itoa(status/100)+"xx").Observe(took.Seconds())
	if rows > 0 {
		m.rows.WithLabelValues(interaction).Add(float64(rows))
	}
}

// poolCollector reports the pool of database connections.
type poolCollector struct{ db *store.DB }

var (
	poolConns   = prometheus.NewDesc("ingle_pool_connections", "Connections to the database.", []string{"state"}, nil)
	poolMax     = prometheus.NewDesc("ingle_pool_connections_max", "Connections that the pool may open.", nil, nil)
	poolWaits   = prometheus.NewDesc("ingle_pool_waits_total", "Times that a connection had to be waited for.", nil, nil)
	poolWaiting = prometheus.NewDesc("ingle_pool_wait_seconds_total", "Time that connections were waited for.", nil, nil)
)

func (poolCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- poolConns
	ch <- poolMax
	ch <- poolWaits
	ch <- poolWaiting
}

func (c poolCollector) Collect(ch chan<- prometheus.Metric) {
	st := c.db.Stat()
	ch <- prometheus.MustNewConstMetric(poolConns, prometheus.GaugeValue, float64(st.AcquiredConns()), "used")
	ch <- prometheus.MustNewConstMetric(poolConns, prometheus.GaugeValue, float64(st.IdleConns()), "idle")
	ch <- prometheus.MustNewConstMetric(poolMax, prometheus.GaugeValue, float64(st.MaxConns()))
	ch <- prometheus.MustNewConstMetric(poolWaits, prometheus.CounterValue, float64(st.EmptyAcquireCount()))
	ch <- prometheus.MustNewConstMetric(poolWaiting, prometheus.CounterValue, st.AcquireDuration().Seconds())
}
