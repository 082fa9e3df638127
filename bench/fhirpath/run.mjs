// Evaluates the cases in the file given (see fhirpath_test.go) with fhirpath.js
// and prints one line of JSON: evaluations, nanoseconds, and the cases that
// fhirpath.js refused.
import { readFileSync } from 'node:fs'
import fhirpath from 'fhirpath'
import r4 from 'fhirpath/fhir-context/r4/index.js'

const { seconds, cases } = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const noTrace = { traceFn: () => {} }
const refused = []
const ready = []
for (const c of cases) {
  const resource = JSON.parse(c.resource)
  let element = resource
  for (const step of c.steps) element = element[step]
  const environment = { resource, rootResource: resource }
  try {
    const base = c.base === resource.resourceType ? undefined : c.base
    const run = fhirpath.compile(base ? { base, expression: c.expression } : c.expression, r4, noTrace)
    run(element, environment)
    ready.push({ run, element, environment })
  } catch (e) {
    refused.push({ key: c.key, base: c.base, why: String(e.message ?? e) })
  }
}

function loop(ms) {
  let n = 0
  const start = process.hrtime.bigint()
  const end = start + BigInt(ms) * 1000000n
  let now = start
  while (now < end) {
    for (const c of ready) c.run(c.element, c.environment)
    n += ready.length
    now = process.hrtime.bigint()
  }
  return { n, ns: Number(now - start) }
}

loop(1000) // let it be compiled
const { n, ns } = loop(seconds * 1000)
console.log(JSON.stringify({ evaluations: n, ns, ready: ready.length, refused }))
