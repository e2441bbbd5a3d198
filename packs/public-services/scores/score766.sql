---
title:
  vi: Bộ chỉ số 766 (phục vụ người dân, doanh nghiệp)
  en: Index 766 (service to people and businesses)
words:
  vi: >-
    Điểm theo Quyết định 766/QĐ-TTg của tỉnh, từng cơ quan và từng đơn vị, theo tháng, quý, năm: 18 điểm
    công khai, minh bạch; 20 điểm tiến độ; 12 điểm dịch vụ công trực tuyến; 10 điểm thanh toán trực
    tuyến; 22 điểm số hóa hồ sơ; 18 điểm mức độ hài lòng. Chỉ số không có mẫu số thì không áp dụng,
    không tính là 0. Cách tính từng chỉ số: tệp README của dịch vụ giám sát này, mục “Rules as read”.
  en: >-
    The score of Decision 766/QĐ-TTg of the province, each agency and each unit by month, quarter and
    year: 18 points for openness, 20 for time kept, 12 for online services, 10 for online payment, 22
    for digitisation, 18 for satisfaction. A component without a denominator is not applicable, never
    zero. Each component's rule: this pack's README, "Rules as read".
source: Quyết định 766/QĐ-TTg ngày 23/6/2022
formula:
  document: Mô tả công thức tính chỉ số 766.docx (sha256 41A27E55…AF)
  version: "2026"
inputs:
  dossiers:
    [ma_tthc, ma_co_quan, ma_don_vi, ngay_tiep_nhan, ngay_hen_tra, ngay_ket_thuc_xu_ly,
     ngay_tra_ket_qua, ngay_dung_tu_choi, ngay_yeu_cau_bo_sung, ngay_nhan_bo_sung,
     ngay_yeu_cau_bo_sung_lan2, kenh_thuc_hien, dong_bo_dvcqg, tong_phi_le_phi, kenh_thanh_toan,
     duong_dan_ket_qua, so_tep_thanh_phan, so_tep_ket_qua, ho_so_co_thanh_phan_so_hoa, duoc_so_hoa,
     duoc_lay_tu_kho_dmqg, ket_qua_dong_bo, ban_sao_dien_tu, tai_khoan_duoc_xac_thuc_voi_vneid,
     ma_csdl, co_pakn, khong_hai_long]
  petitions:
    [ma_co_quan, ma_don_vi, phan_loai, ngay_gui, ngay_chuyen, ngay_tu_choi, ngay_yeu_cau_bo_sung,
     ngay_nhan_bo_sung, ngay_tra_loi, ngay_cong_khai, khong_cong_khai, luot_thich, luot_khong_thich,
     phan_anh_lai]
  procedures:
    [ma_tthc, ma_co_quan, ten_tthc, ngay_hieu_luc, ngay_het_hieu_luc, co_trinh_tu, co_cach_thuc,
     co_thanh_phan_ho_so, co_thoi_han, co_doi_tuong, co_co_quan, thoi_han_ngay_lam_viec, muc_do_dvc,
     co_nghia_vu_tai_chinh, thanh_toan_truc_tuyen, co_ket_qua_giay, la_chung_thuc_ban_sao,
     ket_noi_dan_cu]
  procedure_decisions: [ma_tthc, ma_co_quan, ngay_quyet_dinh, ngay_hieu_luc_can_cu, ngay_cong_khai]
  reported_totals: [ma_co_quan, ky, so_ho_so_bao_cao, so_ho_so_cong]
period: {grains: [month, quarter, year], zone: Asia/Ho_Chi_Minh}
since: {dossiers: ngay_tiep_nhan, petitions: ngay_gui, procedure_decisions: ngay_quyet_dinh}
named: {reported_totals: ky}
sharing:
  public: true
  # verify: the province confirms this in writing before the page is opened to everybody.
  ground: >-
    Mặc định của phần mềm, không phải quyết định của tỉnh; tỉnh phải xác nhận trước khi công khai.
better: higher
agency: ma_co_quan
unit: ma_don_vi
# Ceilings and thresholds in force from a date (to a date). `verify`: what an officer still has to
# confirm; it stands on the screen with the component. A ceiling of 0 is shown and gives no points.
# `rows`: what its denominator counts, `levels`: of whom it is said, `factor`: whose ratio it is times.
components:
  "1.1":
    group: "1"
    rows: procedure_decisions
    levels: [province, agency]
    title: {vi: TTHC được công bố đúng hạn, en: Procedures announced on time}
    valid: [{from: 2022-06-23, max: 6, source: "766, nhóm 1: 18 điểm"}]
  "1.2":
    group: "1"
    rows: procedure_decisions
    levels: [province]
    title: {vi: "TTHC được cập nhật, công khai đúng hạn", en: Procedures published on time}
    valid: [{from: 2022-06-23, max: 4, source: "766, nhóm 1: 18 điểm"}]
  "1.3":
    group: "1"
    rows: procedures
    levels: [province, agency]
    title: {vi: TTHC công khai đầy đủ nội dung, en: Procedures published with all parts}
    valid: [{from: 2022-06-23, max: 2, source: "766; Nghị định 63/2010/NĐ-CP, Điều 8 khoản 2"}]
  "1.4":
    group: "1"
    rows: reported_totals
    levels: [province, agency]
    title: {vi: Hồ sơ đồng bộ lên Cổng Dịch vụ công quốc gia, en: Dossiers on the national portal}
    valid: [{from: 2022-06-23, max: 6, source: "766, nhóm 1: 18 điểm"}]
  "1.4a":
    behind: "1.4"
    group: "1"
    rows: dossiers
    title: {vi: Hồ sơ tiếp nhận đã đồng bộ, en: Received dossiers on the portal}
    valid: [{from: 2022-06-23, max: 0, source: "766"}]
  "2.1":
    group: "2"
    rows: dossiers
    title: {vi: "Hồ sơ trước hạn, đúng hạn", en: Dossiers on time}
    verify: {vi: "Hồ sơ kỳ trước chuyển sang có tính hay không; trừ thời gian bổ sung vào ngày hẹn trả", en: Carried-over dossiers; deducting supplement time from a promised return}
    valid: [{from: 2022-06-23, max: 20, source: "766, nhóm 2: 20 điểm"}]
  "2.2":
    group: "2"
    rows: dossiers
    better: lower
    title: {vi: Thời gian giải quyết trung bình (một thủ tục), en: Mean time (one procedure)}
    unit: ngày làm việc
    valid: [{from: 2022-06-23, max: 0, source: "766"}]
  "3a":
    group: "3a"
    rows: dossiers
    title: {vi: Hồ sơ trực tuyến toàn trình, en: Fully online dossiers}
    verify: {vi: Nguồn ghi ngưỡng 50–80 %, en: The source gives a threshold of 50 to 80 %}
    valid: [{from: 2022-06-23, max: 12, threshold: 50, source: "766, nhóm 3a: 12 điểm"}]
  "3.1":
    group: "3a"
    rows: procedures
    levels: [province, agency]
    title: {vi: TTHC có dịch vụ công trực tuyến, en: Procedures offered online}
    valid: [{from: 2022-06-23, max: 0, threshold: 80, source: "766"}]
  "3.2":
    group: "3a"
    rows: procedures
    levels: [province, agency]
    title: {vi: Dịch vụ công trực tuyến có phát sinh hồ sơ, en: Online services used}
    verify: {vi: Nguồn có hai cách tính, en: The source has two versions}
    valid: [{from: 2022-06-23, max: 0, source: "766"}]
  "3.3":
    group: "3a"
    rows: dossiers
    factor: "1.4"
    title: {vi: Hồ sơ nộp trực tuyến, en: Dossiers filed online}
    verify: {vi: Hệ số đồng bộ chưa rõ trong nguồn, en: The sync factor is unclear in the source}
    valid: [{from: 2022-06-23, max: 0, threshold: 50, source: "766"}]
  "3.5a":
    group: "3b"
    rows: procedures
    levels: [province, agency]
    title: {vi: TTHC thanh toán được trên Cổng, en: Procedures payable online}
    valid: [{from: 2022-06-23, max: 2, threshold: 80, source: "766, nhóm 3b: 10 điểm"}]
  "3.5b":
    group: "3b"
    rows: procedures
    levels: [province, agency]
    title: {vi: TTHC có giao dịch thanh toán trực tuyến, en: Procedures paid online}
    verify: {vi: Mẫu số, en: The denominator}
    valid: [{from: 2022-06-23, max: 2, threshold: 80, source: "766, nhóm 3b: 10 điểm"}]
  "3.5c":
    behind: "3.5b"
    group: "3b"
    rows: dossiers
    better: lower
    title: {vi: Hồ sơ của TTHC thanh toán được nhưng chưa có giao dịch, en: Dossiers of procedures payable but never paid online}
    valid: [{from: 2022-06-23, max: 0, source: "766"}]
  "3.6":
    group: "3b"
    rows: dossiers
    title: {vi: Hồ sơ thanh toán trực tuyến, en: Dossiers paid online}
    valid: [{from: 2022-06-23, max: 6, source: "766, nhóm 3b: 10 điểm"}]
  "4.1":
    group: "4"
    rows: dossiers
    title: {vi: Hồ sơ cấp kết quả điện tử, en: Electronic results}
    valid: [{from: 2022-06-23, max: 6, source: "766, nhóm 4: 22 điểm"}]
  "4.2":
    group: "4"
    rows: dossiers
    title: {vi: "Hồ sơ số hóa thành phần và kết quả", en: Digitised dossiers}
    valid: [{from: 2022-06-23, max: 4, threshold: 80, source: "766, nhóm 4: 22 điểm"}]
  "4.2b":
    group: "4"
    rows: dossiers
    title: {vi: Chứng thực bản sao điện tử, en: Electronic certified copies}
    verify: {vi: Không tìm thấy ngưỡng, en: No threshold was found}
    valid: [{from: 2022-06-23, max: 2, source: "766, nhóm 4: 22 điểm"}]
  "4.3":
    group: "4"
    rows: dossiers
    title: {vi: "Khai thác, sử dụng lại thông tin số hóa", en: Digitised data reused}
    valid: [{from: 2022-06-23, max: 2, threshold: 80, source: "766, nhóm 4: 22 điểm"}]
  "4.4":
    group: "4"
    rows: dossiers
    title: {vi: "Kết nối, chia sẻ để tái sử dụng", en: Shared for reuse}
    valid: [{from: 2022-06-23, max: 4, source: "766, nhóm 4: 22 điểm"}]
  "4.5a":
    group: "4"
    rows: procedures
    levels: [province, agency]
    title: {vi: TTHC kết nối dữ liệu dân cư, en: Procedures using population data}
    valid: [{from: 2022-06-23, max: 2, source: "766, nhóm 4: 22 điểm"}]
  "4.5b":
    group: "4"
    rows: dossiers
    title: {vi: Hồ sơ khai thác dữ liệu dân cư, en: Dossiers using population data}
    valid: [{from: 2022-06-23, max: 2, source: "766, nhóm 4: 22 điểm"}]
  "5.1":
    group: "5"
    rows: petitions
    title: {vi: "Phân loại phản ánh, kiến nghị", en: Petitions classified}
    valid: [{from: 2022-06-23, max: 0, source: "766"}]
  "5.2":
    group: "5"
    rows: petitions
    title: {vi: "Phản ánh, kiến nghị xử lý đúng hạn", en: Petitions on time}
    verify: {vi: Câu chữ trong nguồn bị lỗi, en: The source's sentence is garbled}
    valid: [{from: 2022-06-23, max: 6, source: "766, nhóm 5: 18 điểm"}]
  "5.3":
    group: "5"
    rows: petitions
    title: {vi: "Hài lòng về xử lý phản ánh, kiến nghị", en: Satisfied with petitions' handling}
    verify: {vi: Nguồn dẫn mục 5c không có, en: The source cites a missing 5c}
    valid: [{from: 2022-06-23, max: 6, source: "766, nhóm 5: 18 điểm"}]
  "5.3a":
    behind: "5.3"
    group: "5"
    rows: petitions
    better: lower
    title: {vi: "Phản ánh, kiến nghị không hài lòng hoặc phản ánh lại", en: Disliked or raised again}
    valid: [{from: 2022-06-23, max: 0, source: "766"}]
  "5.4":
    group: "5"
    rows: dossiers
    title: {vi: "Hài lòng về tiếp nhận, giải quyết TTHC", en: Satisfied with dossiers' handling}
    verify: {vi: Một hồ sơ vừa quá hạn vừa không hài lòng bị trừ hai lần, en: A dossier late and disliked is subtracted twice}
    valid: [{from: 2022-06-23, max: 6, threshold: 90, source: "766, nhóm 5: 18 điểm"}]
  "5.4a":
    behind: "5.4"
    group: "5"
    rows: dossiers
    better: lower
    title: {vi: Hồ sơ quá hạn, en: Late dossiers}
    valid: [{from: 2022-06-23, max: 0, source: "766"}]
  "5.4b":
    behind: "5.4"
    group: "5"
    rows: dossiers
    better: lower
    title: {vi: Hồ sơ bị phản ánh hoặc không hài lòng, en: Complained about or disliked}
    valid: [{from: 2022-06-23, max: 0, source: "766"}]
# What one correction of one row does. `seen`: the component whose count of the row shows the fault;
# `moves`: the counts it changes; `unless`, `only_if`: another count of the same row; `derived`:
# components that are not the sum over rows but follow from counts, as the SELECT has it.
derived:
  "1.4": {capped: "1.4a"}
  "5.4": {less: ["5.4a", "5.4b"]}
faults:
  - {name: not_synced, rows: dossiers, seen: "1.4a", moves: [{count: "1.4a"}],
     title: {vi: Chưa đồng bộ lên Cổng Dịch vụ công quốc gia, en: Not on the national portal}}
  - {name: late, rows: dossiers, seen: "2.1", moves: [{count: "2.1"}, {count: "5.4a", by: -1}],
     title: {vi: Quá hạn hoặc bị yêu cầu bổ sung quá một lần, en: "Late, or asked twice for supplements"}}
  - {name: not_online, rows: dossiers, seen: "3a", moves: [{count: "3a"}],
     title: {vi: Không nộp trực tuyến, en: Not filed online}}
  - {name: not_paid_online, rows: dossiers, seen: "3.6", moves: [{count: "3.6"}, {count: "3.5b", only_if: "3.5c"}],
     title: {vi: Không thanh toán trực tuyến, en: Not paid online}}
  - {name: no_result_link, rows: dossiers, seen: "4.1", moves: [{count: "4.1"}],
     title: {vi: Không có kết quả điện tử hợp lệ, en: No valid electronic result}}
  - {name: not_digitised, rows: dossiers, seen: "4.2", moves: [{count: "4.2"}],
     title: {vi: Chưa số hóa đủ thành phần và kết quả, en: Parts or result not digitised}}
  - {name: no_certified_copy, rows: dossiers, seen: "4.2b", moves: [{count: "4.2b"}],
     title: {vi: Chưa có bản sao điện tử chứng thực, en: No electronic certified copy}}
  - {name: not_reused, rows: dossiers, seen: "4.3", moves: [{count: "4.3"}],
     title: {vi: Chưa sử dụng lại dữ liệu số hóa, en: Digitised data not reused}}
  - {name: not_shared, rows: dossiers, seen: "4.4", moves: [{count: "4.4"}],
     title: {vi: Kết quả chưa chia sẻ để tái sử dụng, en: Result not shared}}
  - {name: no_population_data, rows: dossiers, seen: "4.5b", moves: [{count: "4.5b"}],
     title: {vi: Chưa khai thác dữ liệu dân cư, en: Population data not used}}
  - {name: dissatisfied, rows: dossiers, seen: "5.4b", has: true, moves: [{count: "5.4b", by: -1}],
     title: {vi: Bị phản ánh hoặc đánh giá không hài lòng, en: Complained about or disliked}}
  - {name: petition_late, rows: petitions, seen: "5.2", moves: [{count: "5.2"}, {count: "5.3", unless: "5.3a"}],
     title: {vi: "Phản ánh, kiến nghị xử lý quá hạn", en: Petition late}}
  - {name: petition_disliked, rows: petitions, seen: "5.3a", has: true, moves: [{count: "5.3a", by: -1}, {count: "5.3", only_if: "5.2"}],
     title: {vi: Không hài lòng hoặc phản ánh lại, en: Disliked or raised again}}
groups:
  "1": {vi: "Công khai, minh bạch", en: Openness}
  "2": {vi: Tiến độ giải quyết, en: Time kept}
  "3a": {vi: Dịch vụ công trực tuyến, en: Online services}
  "3b": {vi: Thanh toán trực tuyến, en: Online payment}
  "4": {vi: Số hóa hồ sơ, en: Digitisation}
  "5": {vi: Mức độ hài lòng, en: Satisfaction}
---
WITH
-- ── dossiers ─────────────────────────────────────────────────────────────────────────────────────
d AS MATERIALIZED (
  SELECT x.ma_co_quan AS a, x.ma_don_vi AS u, x.ma_tthc AS p, x.ngay_tiep_nhan_us AS t0,
    r.period AS received, r.ordinal AS o0, r.cut_us AS received_cut,
    coalesce(x.ngay_ket_thuc_xu_ly_us, x.ngay_tra_ket_qua_us, x.ngay_dung_tu_choi_us) AS e,
    coalesce(x.ngay_ket_thuc_xu_ly_day, x.ngay_tra_ket_qua_day, x.ngay_dung_tu_choi_day) AS e_day,
    coalesce(x.ngay_ket_thuc_xu_ly_us, x.ngay_tra_ket_qua_us) IS NOT NULL AS with_result,
    x.ngay_hen_tra_us AS due, x.ngay_yeu_cau_bo_sung_us AS q, x.ngay_yeu_cau_bo_sung_day AS q_day,
    x.ngay_nhan_bo_sung_us AS r, x.ngay_nhan_bo_sung_day AS r_day,
    x.ngay_yeu_cau_bo_sung_lan2_us AS q2,
    coalesce(x.kenh_thuc_hien = 2, false) AS online,
    coalesce(x.dong_bo_dvcqg, false) AS synced,
    coalesce(x.tong_phi_le_phi > 0, false) AS with_fee,
    coalesce(x.kenh_thanh_toan IN (1, 2), false) AS paid,
    coalesce(x.duong_dan_ket_qua LIKE 'http://_%' OR x.duong_dan_ket_qua LIKE 'https://_%', false)
      AS link,
    coalesce(x.so_tep_thanh_phan >= 1 AND x.so_tep_ket_qua >= 1, false) AS digitised,
    coalesce(x.ho_so_co_thanh_phan_so_hoa, false) OR coalesce(x.duoc_so_hoa, false) AS reused,
    coalesce(x.duoc_lay_tu_kho_dmqg, false) OR coalesce(x.ket_qua_dong_bo, false) AS shared,
    coalesce(x.ban_sao_dien_tu, false) AS certified,
    coalesce(x.tai_khoan_duoc_xac_thuc_voi_vneid, false) OR coalesce(x.ma_csdl <> '', false)
      AS population,
    coalesce(x.co_pakn, false) OR coalesce(x.khong_hai_long, false) AS disliked
  FROM dossiers x JOIN days r ON r.day = x.ngay_tiep_nhan_day
),
received AS (
  SELECT a, u, p, received AS period, count(*) AS n, count_if(synced) AS synced,
    count_if(online) AS online, count_if(online AND link) AS online_result, count_if(paid) AS paid,
    count_if(with_fee) AS with_fee, count_if(with_fee AND paid) AS fee_paid,
    count_if(reused) AS reused, count_if(population) AS population
  FROM d
  WHERE received IS NOT NULL AND t0 < received_cut
  GROUP BY a, u, p, received
),
ended AS (
  SELECT d.a, d.u, d.p, n.period, d.e AS stop, n.cut_us AS cut, n.ordinal AS o1, d.o0, d.due, d.q, d.q_day, d.r,
    d.r_day, d.q2, d.with_result, d.link, d.digitised, d.shared, d.certified, d.disliked
  FROM d JOIN days n ON n.day = d.e_day
  WHERE n.period IS NOT NULL AND d.e < n.cut_us AND d.t0 < n.cut_us
),
finished AS (
  SELECT a, u, p, period, count_if(with_result) AS n, count_if(with_result AND link) AS link,
    count_if(with_result AND digitised) AS digitised, count_if(with_result AND shared) AS shared,
    count_if(with_result AND certified) AS certified
  FROM ended GROUP BY a, u, p, period
),
-- What waited or ran at the end of a period, then what ended in it.
running AS (
  SELECT d.a, d.u, d.p, c.number AS period, c.cut_us AS stop, c.cut_us AS cut, c.last_ordinal AS o1, d.o0, d.due, d.q,
    d.q_day, d.r, d.r_day, d.q2, d.disliked
  -- What ended in the period it came in crosses no cut.
  FROM (SELECT a, u, p, t0, e, o0, due, q, q_day, r, r_day, q2, disliked FROM d WHERE received IS NULL OR e IS NULL OR e >= received_cut) d
  JOIN periods c ON d.t0 < c.cut_us AND (d.e IS NULL OR d.e >= c.cut_us)
),
hand AS (
  SELECT a, u, p, period, stop, cut, o1, o0, due, q, q_day, r, r_day, q2, disliked FROM ended
  UNION ALL
  SELECT a, u, p, period, stop, cut, o1, o0, due, q, q_day, r, r_day, q2, disliked FROM running
),
judged AS (
  -- Nothing was asked and a return was promised: no calendar is needed.
  SELECT a, u, period, stop > due AS late, disliked
  FROM hand WHERE due IS NOT NULL AND q IS NULL AND q2 IS NULL
  UNION ALL
  SELECT h.a, h.u, h.period,
    CASE
      WHEN h.q2 < h.cut THEN true
      WHEN h.due IS NOT NULL AND h.q < h.stop
        THEN h.stop - greatest(0, least(coalesce(h.r, h.stop), h.stop) - h.q) > h.due
      WHEN h.due IS NOT NULL THEN h.stop > h.due
      WHEN h.q < h.stop
        THEN greatest(0, h.o1 - h.o0)
          - greatest(0, CASE WHEN h.r < h.stop THEN rd.ordinal ELSE h.o1 END - qd.ordinal)
          > pr.thoi_han_ngay_lam_viec
      ELSE greatest(0, h.o1 - h.o0) > pr.thoi_han_ngay_lam_viec
    END AS late, h.disliked
  FROM hand h
  LEFT JOIN days qd ON qd.day = h.q_day
  LEFT JOIN days rd ON rd.day = h.r_day
  LEFT JOIN procedures pr ON pr.ma_tthc = h.p AND pr.ma_co_quan = h.a
  WHERE h.due IS NULL OR h.q IS NOT NULL OR h.q2 IS NOT NULL
),
in_hand AS (
  SELECT a, u, period, count(*) AS n, count_if(late) AS late, count_if(disliked) AS disliked
  FROM judged WHERE late IS NOT NULL GROUP BY a, u, period
),
spent AS (
  SELECT h.a, h.u, h.p, h.period, count(*) AS n,
    sum(greatest(0, h.o1 - h.o0) - CASE WHEN h.q < h.stop
      THEN greatest(0, CASE WHEN h.r < h.stop THEN rd.ordinal ELSE h.o1 END - qd.ordinal)
      ELSE 0 END) AS days
  FROM ended h
  LEFT JOIN days qd ON qd.day = h.q_day
  LEFT JOIN days rd ON rd.day = h.r_day
  GROUP BY h.a, h.u, h.p, h.period
),
-- ── petitions ────────────────────────────────────────────────────────────────────────────────────
pet AS (
  SELECT x.ma_co_quan AS a, x.ma_don_vi AS u, x.phan_loai IS NOT NULL AS classified,
    x.ngay_gui_us AS t0, s.period AS sent, s.cut_us AS sent_cut, s.ordinal AS of_sent,
    x.ngay_chuyen_us AS moved, m.ordinal AS of_moved,
    x.ngay_tu_choi_us AS refused, rf.next_ordinal AS of_refused,
    x.ngay_yeu_cau_bo_sung_us AS q, qd.ordinal AS of_q, qd.next_ordinal AS next_q,
    x.ngay_nhan_bo_sung_us AS r, rd.ordinal AS of_r,
    x.ngay_tra_loi_us AS answered, an.ordinal AS of_answered, an.next_ordinal AS next_answered,
    x.ngay_cong_khai_us AS published, pb.next_ordinal AS of_published,
    coalesce(x.khong_cong_khai, false) AS quiet,
    coalesce(x.ngay_tu_choi_us, CASE WHEN coalesce(x.khong_cong_khai, false)
      THEN x.ngay_tra_loi_us ELSE x.ngay_cong_khai_us END) AS closed,
    coalesce(x.luot_khong_thich, 0) > coalesce(x.luot_thich, 0)
      OR coalesce(x.phan_anh_lai, false) AS disliked
  FROM petitions x
  JOIN days s ON s.day = x.ngay_gui_day
  LEFT JOIN days m ON m.day = x.ngay_chuyen_day
  LEFT JOIN days rf ON rf.day = x.ngay_tu_choi_day
  LEFT JOIN days qd ON qd.day = x.ngay_yeu_cau_bo_sung_day
  LEFT JOIN days rd ON rd.day = x.ngay_nhan_bo_sung_day
  LEFT JOIN days an ON an.day = x.ngay_tra_loi_day
  LEFT JOIN days pb ON pb.day = x.ngay_cong_khai_day
),
-- On the row as it was at the cut: what came later is null. A term of n working days ends with a
-- working day; what is done on a day off counts as done on the next working day.
pet_at AS (
  SELECT x.a, x.u, c.number AS period, c.last_next_ordinal AS next_last, x.quiet, x.disliked,
    CASE WHEN x.moved < c.cut_us THEN x.of_moved ELSE x.of_sent END AS f,
    CASE WHEN x.refused < c.cut_us THEN x.of_refused END AS refused,
    CASE WHEN x.q < c.cut_us THEN x.of_q END AS q,
    CASE WHEN x.q < c.cut_us THEN x.next_q END AS next_q,
    CASE WHEN x.q < c.cut_us AND x.r < c.cut_us THEN x.of_r END AS r,
    CASE WHEN x.answered < c.cut_us THEN x.of_answered END AS answered,
    CASE WHEN x.answered < c.cut_us THEN x.next_answered END AS next_answered,
    CASE WHEN x.published < c.cut_us THEN x.of_published END AS published
  FROM pet x JOIN periods c
    ON x.t0 < c.cut_us AND (x.closed IS NULL OR x.closed >= c.start_us)
),
pet_late AS (
  SELECT a, u, period, disliked,
    coalesce(refused - f > 2, false) OR coalesce(next_q - f > 5, false)
    OR coalesce(refused IS NULL AND (answered IS NOT NULL OR q IS NULL OR r IS NOT NULL)
      AND coalesce(next_answered, next_last) - f - CASE WHEN q IS NULL OR r IS NULL THEN 0
        ELSE greatest(0, r - q) END > 15, false)
    OR coalesce(refused IS NULL AND NOT quiet
      AND coalesce(published, next_last) - answered > 2, false) AS late
  FROM pet_at
),
petitions_in_hand AS (
  SELECT a, u, period, count(*) AS n, count_if(late) AS late, count_if(late OR disliked) AS bad,
    count_if(disliked) AS disliked
  FROM pet_late GROUP BY a, u, period
),
petitions_sent AS (
  SELECT a, u, sent AS period, count(*) AS n, count_if(classified) AS classified
  FROM pet WHERE sent IS NOT NULL AND t0 < sent_cut GROUP BY a, u, sent
),
-- ── procedures ───────────────────────────────────────────────────────────────────────────────────
used AS (
  SELECT a, p, period, sum(online) AS online, sum(paid) AS paid FROM received GROUP BY a, p, period
),
offered AS (
  SELECT x.ma_co_quan AS a, x.ma_tthc AS p, c.number AS period,
    (x.ngay_hieu_luc IS NULL OR x.ngay_hieu_luc <= c.today)
      AND (x.ngay_het_hieu_luc IS NULL OR x.ngay_het_hieu_luc >= c.today) AS standing,
    coalesce(x.ten_tthc <> '' AND x.co_trinh_tu AND x.co_cach_thuc AND x.co_thanh_phan_ho_so
      AND x.co_thoi_han AND x.co_doi_tuong AND x.co_co_quan, false) AS complete,
    (x.ngay_hieu_luc IS NULL OR x.ngay_hieu_luc <= c.last_day)
      AND (x.ngay_het_hieu_luc IS NULL OR x.ngay_het_hieu_luc >= c.first_day) AS in_force,
    coalesce(x.muc_do_dvc >= 1, false) AS service,
    coalesce(x.co_nghia_vu_tai_chinh, false) AS with_fee,
    coalesce(x.thanh_toan_truc_tuyen, false) AS payable,
    coalesce(x.ket_noi_dan_cu, false) AS connected,
    coalesce(y.online > 0, false) AS used, coalesce(y.paid > 0, false) AS paid
  FROM procedures x CROSS JOIN periods c
  LEFT JOIN used y ON y.a = x.ma_co_quan AND y.p = x.ma_tthc AND y.period = c.number
),
decided AS (
  SELECT x.ma_co_quan AS a, x.ma_tthc AS p, n.period,
    l.next_ordinal - n.next_ordinal < 5 AS late,
    CASE WHEN x.ngay_cong_khai <= c.last_day THEN pb.next_ordinal ELSE c.last_next_ordinal END
      - n.ordinal > 5 AS unpublished
  FROM procedure_decisions x
  JOIN days n ON n.day = x.ngay_quyet_dinh
  JOIN periods c ON c.number = n.period AND x.ngay_quyet_dinh <= c.last_day
  LEFT JOIN days l ON l.day = x.ngay_hieu_luc_can_cu
  LEFT JOIN days pb ON pb.day = x.ngay_cong_khai
),
-- ── by level ─────────────────────────────────────────────────────────────────────────────────────
received_l AS (
  SELECT CASE WHEN l.level = 'province' THEN '*' ELSE x.a END AS a,
    CASE WHEN l.level = 'unit' THEN x.u ELSE '*' END AS u, x.period, sum(x.n) AS n,
    sum(x.synced) AS synced, sum(x.online_result) AS online_result, sum(x.with_fee) AS with_fee,
    sum(x.fee_paid) AS fee_paid, sum(x.reused) AS reused, sum(x.population) AS population,
    sum(CASE WHEN pr.muc_do_dvc = 2 THEN x.n ELSE 0 END) AS eligible,
    sum(CASE WHEN pr.muc_do_dvc = 2 THEN x.online ELSE 0 END) AS online,
    sum(CASE WHEN o.in_force AND o.with_fee AND o.payable AND NOT o.paid THEN x.n ELSE 0 END) AS unpaid
  FROM received x
  LEFT JOIN procedures pr ON pr.ma_tthc = x.p AND pr.ma_co_quan = x.a
  LEFT JOIN offered o ON o.p = x.p AND o.a = x.a AND o.period = x.period
  JOIN levels l ON l.level <> 'unit' OR x.u IS NOT NULL
  GROUP BY 1, 2, 3
),
finished_l AS (
  SELECT CASE WHEN l.level = 'province' THEN '*' ELSE x.a END AS a,
    CASE WHEN l.level = 'unit' THEN x.u ELSE '*' END AS u, x.period, sum(x.n) AS n,
    sum(x.digitised) AS digitised, sum(x.shared) AS shared,
    sum(CASE WHEN coalesce(pr.co_ket_qua_giay, true) THEN x.n ELSE 0 END) AS papers,
    sum(CASE WHEN coalesce(pr.co_ket_qua_giay, true) THEN x.link ELSE 0 END) AS link,
    sum(CASE WHEN pr.la_chung_thuc_ban_sao THEN x.n ELSE 0 END) AS copies,
    sum(CASE WHEN pr.la_chung_thuc_ban_sao THEN x.certified ELSE 0 END) AS certified
  FROM finished x
  LEFT JOIN procedures pr ON pr.ma_tthc = x.p AND pr.ma_co_quan = x.a
  JOIN levels l ON l.level <> 'unit' OR x.u IS NOT NULL
  GROUP BY 1, 2, 3
),
in_hand_l AS (
  SELECT CASE WHEN l.level = 'province' THEN '*' ELSE x.a END AS a,
    CASE WHEN l.level = 'unit' THEN x.u ELSE '*' END AS u, x.period,
    sum(x.n) AS n, sum(x.late) AS late, sum(x.disliked) AS disliked
  FROM in_hand x JOIN levels l ON l.level <> 'unit' OR x.u IS NOT NULL
  GROUP BY 1, 2, 3
),
spent_l AS (
  SELECT CASE WHEN l.level = 'province' THEN '*' ELSE x.a END AS a,
    CASE WHEN l.level = 'unit' THEN x.u ELSE '*' END AS u, x.period,
    sum(x.n) AS n, sum(x.days) AS days
  FROM spent x JOIN levels l ON l.level <> 'unit' OR x.u IS NOT NULL
  GROUP BY 1, 2, 3
  HAVING count(DISTINCT x.p) = 1
),
petitions_l AS (
  SELECT CASE WHEN l.level = 'province' THEN '*' ELSE x.a END AS a,
    CASE WHEN l.level = 'unit' THEN x.u ELSE '*' END AS u, x.period,
    sum(x.n) AS n, sum(x.late) AS late, sum(x.bad) AS bad, sum(x.disliked) AS disliked
  FROM petitions_in_hand x JOIN levels l ON l.level <> 'unit' OR x.u IS NOT NULL
  GROUP BY 1, 2, 3
),
sent_l AS (
  SELECT CASE WHEN l.level = 'province' THEN '*' ELSE x.a END AS a,
    CASE WHEN l.level = 'unit' THEN x.u ELSE '*' END AS u, x.period,
    sum(x.n) AS n, sum(x.classified) AS classified
  FROM petitions_sent x JOIN levels l ON l.level <> 'unit' OR x.u IS NOT NULL
  GROUP BY 1, 2, 3
),
-- A procedure counts once: any of its rows is enough.
offered_once AS (
  SELECT CASE WHEN l.level = 'province' THEN '*' ELSE x.a END AS a, x.p, x.period,
    max(x.standing) AS standing, max(x.standing AND x.complete) AS complete,
    max(x.in_force) AS in_force, max(x.in_force AND x.service) AS service,
    max(x.in_force AND x.service AND x.used) AS used,
    max(x.in_force AND x.with_fee) AS with_fee,
    max(x.in_force AND x.with_fee AND x.payable) AS payable,
    max(x.in_force AND x.with_fee AND x.payable AND x.paid) AS paid,
    max(x.in_force AND x.connected) AS connected
  FROM offered x JOIN levels l ON l.level <> 'unit'
  GROUP BY 1, 2, 3
),
offered_l AS (
  SELECT a, period, count_if(standing) AS standing, count_if(complete) AS complete,
    count_if(in_force) AS in_force, count_if(service) AS service, count_if(used) AS used,
    count_if(with_fee) AS with_fee, count_if(payable) AS payable, count_if(paid) AS paid,
    count_if(connected) AS connected
  FROM offered_once GROUP BY a, period
),
-- One late row is enough.
decided_once AS (
  SELECT CASE WHEN l.level = 'province' THEN '*' ELSE x.a END AS a, x.p, x.period,
    max(x.late) AS late, max(x.unpublished) AS unpublished
  FROM decided x JOIN levels l ON l.level <> 'unit'
  GROUP BY 1, 2, 3
),
decided_l AS (
  SELECT a, period, count(late) AS n, count_if(NOT late) AS announced, count(unpublished) AS all_n,
    count_if(NOT unpublished) AS published
  FROM decided_once GROUP BY a, period
),
told AS (
  SELECT CASE WHEN l.level = 'province' THEN '*' ELSE x.ma_co_quan END AS a, x.ky,
    greatest(sum(coalesce(x.so_ho_so_bao_cao, 0)), sum(coalesce(x.so_ho_so_cong, 0))) AS n
  FROM reported_totals x JOIN levels l ON l.level <> 'unit'
  GROUP BY 1, 2
),
told_all AS (
  SELECT DISTINCT t.a, c.number AS period, c.code, c.year_before, c.parts FROM told t CROSS JOIN periods c
),
expected AS (
  SELECT w.a, w.period,
    CASE WHEN now.n > 0 THEN CAST(now.n AS DOUBLE)
      WHEN before.n > 0 THEN CAST(before.n AS DOUBLE) / w.parts END AS n
  FROM told_all w
  LEFT JOIN told now ON now.a = w.a AND now.ky = w.code
  LEFT JOIN told before ON before.a = w.a AND before.ky = w.year_before
),
synced AS (
  SELECT x.a, '*' AS u, x.period, x.n AS den, least(CAST(coalesce(r.synced, 0) AS DOUBLE), x.n) AS num
  FROM expected x LEFT JOIN received_l r ON r.a = x.a AND r.u = '*' AND r.period = x.period
  WHERE x.n > 0
),
-- ── components ───────────────────────────────────────────────────────────────────────────────────
figures AS (
  SELECT a, '*' AS u, period, '1.1' AS component, announced AS num, n AS den, 1.0 AS factor FROM decided_l
  UNION ALL SELECT a, '*', period, '1.2', published, all_n, 1.0 FROM decided_l WHERE a = '*'
  UNION ALL SELECT a, '*', period, '1.3', complete, standing, 1.0 FROM offered_l
  UNION ALL SELECT a, u, period, '1.4', num, den, 1.0 FROM synced
  UNION ALL SELECT a, u, period, '1.4a', synced, n, 1.0 FROM received_l
  UNION ALL SELECT a, u, period, '2.1', n - late, n, 1.0 FROM in_hand_l
  UNION ALL SELECT a, u, period, '2.2', days, n, 0.01 FROM spent_l
  UNION ALL SELECT a, u, period, '3a', online, eligible, 1.0 FROM received_l
  UNION ALL SELECT a, '*', period, '3.1', service, in_force, 1.0 FROM offered_l
  UNION ALL SELECT a, '*', period, '3.2', used, service, 1.0 FROM offered_l
  UNION ALL SELECT r.a, r.u, r.period, '3.3', r.online_result, r.n, coalesce(s.num / s.den, 1.0)
    FROM received_l r LEFT JOIN synced s ON s.a = r.a AND s.u = r.u AND s.period = r.period
  UNION ALL SELECT a, '*', period, '3.5a', payable, with_fee, 1.0 FROM offered_l
  UNION ALL SELECT a, '*', period, '3.5b', paid, payable, 1.0 FROM offered_l
  UNION ALL SELECT a, u, period, '3.5c', unpaid, n, 1.0 FROM received_l
  UNION ALL SELECT a, u, period, '3.6', fee_paid, with_fee, 1.0 FROM received_l
  UNION ALL SELECT a, u, period, '4.1', link, papers, 1.0 FROM finished_l
  UNION ALL SELECT a, u, period, '4.2', digitised, n, 1.0 FROM finished_l
  UNION ALL SELECT a, u, period, '4.2b', certified, copies, 1.0 FROM finished_l
  UNION ALL SELECT a, u, period, '4.3', reused, n, 1.0 FROM received_l
  UNION ALL SELECT a, u, period, '4.4', shared, n, 1.0 FROM finished_l
  UNION ALL SELECT a, '*', period, '4.5a', connected, in_force, 1.0 FROM offered_l
  UNION ALL SELECT a, u, period, '4.5b', population, n, 1.0 FROM received_l
  UNION ALL SELECT a, u, period, '5.1', classified, n, 1.0 FROM sent_l
  UNION ALL SELECT a, u, period, '5.2', n - late, n, 1.0 FROM petitions_l
  UNION ALL SELECT a, u, period, '5.3', n - bad, n, 1.0 FROM petitions_l
  UNION ALL SELECT a, u, period, '5.3a', disliked, n, 1.0 FROM petitions_l
  UNION ALL SELECT a, u, period, '5.4', greatest(0, n - late - disliked), n, 1.0 FROM in_hand_l
  UNION ALL SELECT a, u, period, '5.4a', late, n, 1.0 FROM in_hand_l
  UNION ALL SELECT a, u, period, '5.4b', disliked, n, 1.0 FROM in_hand_l
)
SELECT a AS agency, u AS unit, period, component, CAST(num AS DOUBLE) AS numerator,
  CAST(den AS DOUBLE) AS denominator, 100.0 * num * factor / den AS ratio
FROM figures WHERE den > 0
