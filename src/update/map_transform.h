// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "kernel/object_spec.h"
#include "update/manifest.h"
#include "update/schema_diff.h"

namespace mapshift::update {

// Whether the manifest's conversion function has work to do in this update. A manifest keeps naming it in later versions, when
// the running generation has it as well and its values have the new form already.
[[nodiscard]] bool transform_pending(const MapRule& old_rule, const MapRule& rule, bool identical);

// How the values are merged once the function has brought them into the new layout: every field with itself. `request` is that of
// the layouts as they are. Refusals say what hinders the conversion.
[[nodiscard]] SchemaDiff diff_transformed(SchemaRequest request, const MapRule& rule, const ObjectSpec& object);

}  // namespace mapshift::update
