#pragma once
// The page of a run: one HTML file that needs no network. hvsim puts data into it, its scripts
// (web/) draw them with Chart.js.
#include <filesystem>
#include <string>

namespace hvsim::analysis {

struct Page {
    std::string html;
    std::string warning;  ///< about a trace that ends early or has no report; empty: none
};

/// Reads a trace once and makes the page of its run. Throws sim::ConfigError for a file that is no
/// trace.
Page make_page(const std::filesystem::path& trace);

}  // namespace hvsim::analysis
