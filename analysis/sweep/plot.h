#pragma once
// A metric of a sweep over a parameter, as a program for gnuplot.
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "analysis/sweep/results.h"

namespace hvsim::analysis {

struct PlotRequest {
    std::string x;                 ///< key of a parameter
    std::vector<std::string> y;    ///< names of metrics of one unit
    std::string group;             ///< key of a parameter: a line each value; may be empty
    Settings where;                ///< only points with these values
    std::string title;             ///< may be empty
    std::filesystem::path output;  ///< .svg or .png
    bool logarithmic_x = false;
};

/// The program, which writes `file` in the format of `request.output`'s name. Points without the
/// metric are left out. Throws sim::ConfigError for a key or metric that is not there, another kind
/// of file, metrics of several units, or where another parameter varies too.
std::string plot_program(SweepResults& results, const PlotRequest& request,
                         const std::filesystem::path& file);

}  // namespace hvsim::analysis
