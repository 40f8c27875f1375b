#include <doctest/doctest.h>
#include <sqlite3.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "analysis/export/export.h"
#include "analysis/export/tables.h"
#include "made_trace.h"
#include "sim/error.h"

using namespace hvsim;
using namespace hvsim::analysis;

namespace {

std::string content(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

struct Database {
    explicit Database(const std::filesystem::path& path) {
        sqlite3* opened = nullptr;
        REQUIRE(sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK);
        handle.reset(opened);
    }
    /// Rows of a query, their columns separated by "|".
    std::vector<std::string> rows(const std::string& sql) {
        sqlite3_stmt* statement = nullptr;
        CAPTURE(sql);
        REQUIRE(sqlite3_prepare_v2(handle.get(), sql.c_str(), -1, &statement, nullptr) ==
                SQLITE_OK);
        std::vector<std::string> rows;
        while (sqlite3_step(statement) == SQLITE_ROW) {
            std::string& row = rows.emplace_back();
            for (int i = 0; i < sqlite3_column_count(statement); ++i) {
                const auto* text = sqlite3_column_text(statement, i);
                if (i != 0) row += '|';
                row += text == nullptr ? "-" : reinterpret_cast<const char*>(text);
            }
        }
        sqlite3_finalize(statement);
        return rows;
    }
    std::string row(const std::string& sql) {
        const auto all = rows(sql);
        REQUIRE(all.size() == 1);
        return all.front();
    }
    struct Closer {
        void operator()(sqlite3* database) const { sqlite3_close(database); }
    };
    std::unique_ptr<sqlite3, Closer> handle;
};

}  // namespace

TEST_CASE("a database holds the trace's tables, and says what is in them") {
    const auto out = made::scratch("small.sqlite");
    export_trace({.trace = made::small("tables.trace"), .sqlite = out});
    Database db(out);
    CHECK(db.row("PRAGMA integrity_check") == "ok");
    CHECK(db.row("SELECT value FROM trace WHERE name = 'scenario'") == "made.toml");
    CHECK(db.row("SELECT value FROM trace WHERE name = 'end'") == "whole");
    CHECK(db.row("SELECT name, value, unit, description FROM statistics") ==
          "disk.reads|3|count|read commands");
    CHECK(db.row("SELECT count(*) FROM requests WHERE operation = 'READ(10)'") == "2");
    CHECK(db.row("SELECT signalled_ps, noticed_ps, taken_ps, provider_begin_ps, disk_taken_ps, "
                 "disk_transfer_ps, disk_completed_ps, disk_interrupt_ps, provider_end_ps, "
                 "answered_ps, answer_signalled_ps, interrupted_ps FROM requests WHERE "
                 "request = 1") ==
          "10000000|12000000|12200000|12200000|12400000|15000000|16000000|16500000|17000000|"
          "17500000|17800000|19000000");
    CHECK(db.row("SELECT opcode, d.bytes, status, d.taken_ps FROM disk_commands d "
                 "JOIN requests USING (request) WHERE transaction_id = 0xa2") ==
          "Read|4096|0|32400000");
    CHECK(db.row("SELECT detail, cost_ps, printf('%#x', rip) FROM exits "
                 "WHERE reason = 'vmcall' AND partition = 2 ORDER BY begin_ps LIMIT 1") ==
          "HvCallSignalEvent|2000000|0xffffffff81000000");
    CHECK(db.row("SELECT sum(end_ps - begin_ps) FROM processor_spans WHERE lp = 0") ==
          db.row("SELECT max(end_ps) - min(begin_ps) FROM processor_spans WHERE lp = 0"));
    CHECK(db.row("SELECT text FROM console_lines") == "Linux \"says\" <\xef\xbf\xbd>, hello");
    CHECK(db.row("SELECT cause, vector FROM interrupts LIMIT 1") == "SynIC|243");
    CHECK(db.row("SELECT max(open) FROM queue_depths WHERE channel = 1") == "1");
    CHECK(db.row("SELECT instructions FROM processor_samples ORDER BY time_ps DESC LIMIT 1") ==
          "1000000");
    CHECK(db.row("SELECT iotlb_hits FROM iommu_samples ORDER BY time_ps DESC LIMIT 1") == "500");
    CHECK(db.row("SELECT count(*) FROM events WHERE kind = 'vm_exit'") == "7");
    CHECK(db.row("SELECT v.name FROM events e JOIN value_names v ON v.kind = e.kind AND "
                 "v.position = 1 AND v.value = e.argument1 WHERE e.kind = 'hypercall' LIMIT 1") ==
          "HvCallSignalEvent");
    CHECK(db.row("SELECT name FROM argument_names WHERE kind = 'vm_exit' AND position = 3") ==
          "rip");

    // Every column is described, in "columns" and in the table's own SQL.
    for (std::size_t i = 0; i < kTables; ++i) {
        const Table& about = table(static_cast<TableId>(i));
        CAPTURE(about.name);
        const std::string name(about.name);
        const std::string sql = db.row("SELECT sql FROM sqlite_master WHERE name = '" + name + "'");
        CHECK(sql.find("-- " + std::string(about.description)) != std::string::npos);
        CHECK(db.row("SELECT count(*) FROM pragma_table_info('" + name + "')") ==
              db.row("SELECT count(*) FROM columns WHERE \"table\" = '" + name + "'"));
        CHECK(db.row("SELECT count(*) FROM sqlite_master WHERE type = 'index' AND tbl_name = '" +
                     name + "'") == (about.index.empty() ? "0" : "1"));
        for (const Column& column : about.columns) {
            if (column.unit.empty()) continue;
            CHECK(sql.find("[" + std::string(column.unit) + "]") != std::string::npos);
            CHECK(db.row("SELECT unit FROM columns WHERE \"table\" = '" + name +
                         "' AND \"column\" = '" + std::string(column.name) + "'") == column.unit);
        }
    }
}

TEST_CASE("a folder of comma-separated values has the same, with units in the headings") {
    const auto folder = made::scratch("small.csv");
    std::filesystem::remove_all(folder);
    export_trace({.trace = made::small("csv.trace"), .csv = folder});
    const std::string requests = content(folder / "requests.csv");
    CHECK(
        requests.starts_with("request,partition,channel,transaction_id,operation,lba [blocks],"
                             "bytes,transferred [bytes],srb_status,scsi_status,packet_bytes,"));
    CHECK(requests.find("\r\n1,2,1,0xa1,\"READ(10)\",64,4096,4096,1,0,616,88,1,1,2,10000000,"
                        "12000000,12200000,12200000,12400000,15000000,16000000,16500000,17000000,"
                        "17500000,17800000,19000000\r\n") != std::string::npos);
    CHECK(content(folder / "console_lines.csv") ==
          "partition,begin_ps,end_ps,text\r\n"
          "2,4000,4022,\"Linux \"\"says\"\" <\xef\xbf\xbd>, hello\"\r\n");
    CHECK(content(folder / "exits.csv").find(",0xffffffff81000000,0x0,0x0,1\r\n") !=
          std::string::npos);
    // Idle has neither partition nor reason.
    CHECK(
        content(folder / "processor_spans.csv").find("0,\"idle\",,,,11000000,11100000\r\n") !=
        std::string::npos);
    const std::string columns = content(folder / "columns.csv");
    CHECK(columns.starts_with("table,column,unit,description\r\n"));
    CHECK(columns.find("\r\nexits,cost_ps,ps,\"work of processor") != std::string::npos);
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++files;
    CHECK(files == kTables + 1);

    // Again: files of these names are replaced, others stay.
    std::ofstream(folder / "mine.txt") << "stays";
    std::ofstream(folder / "exits.csv") << "goes";
    export_trace({.trace = made::scratch("csv.trace"), .csv = folder});
    CHECK(content(folder / "mine.txt") == "stays");
    CHECK(content(folder / "exits.csv").starts_with("partition,vp,"));
}
