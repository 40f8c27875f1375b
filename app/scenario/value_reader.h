#pragma once
// From a TOML value, or a default's text, to a checked value of a key's type.
#include "app/scenario/document.h"
#include "app/scenario/schema.h"

namespace hvsim::app {

/// Throws sim::ConfigError at `where` ("PATH: expected ..., found ...") when the node does not fit.
Value read_value(const Key& key, const toml::node& node, const std::string& path,
                 const sim::SourceLocation& where);

/// The key's default, which is there and not empty.
Value default_value(const Key& key);

}  // namespace hvsim::app
