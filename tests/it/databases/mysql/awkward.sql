-- What dumps have stumbled over, for MySQL and MariaDB alike.
create database `sh op-é` character set utf8mb4;
use `sh op-é`;
create table parent (id int primary key, name varchar(50) collate utf8mb4_bin unique);
create table t (
    id int primary key auto_increment, note longtext, raw longblob, bits bit(9),
    price decimal(20, 10), at timestamp(6) null, other int, kind enum('a''b', 'c,d'),
    twice int generated always as (other * 2) stored, once int generated always as (other + 1) virtual,
    constraint `of "parent"` foreign key (other) references parent (id)
) auto_increment = 4711;
insert into parent values (1, '😀'), (2, '');
insert into t (note, raw, bits, price, at, other, kind) values
    ('😀"''\\ \r\n\t\0', unhex('00ff271a5c22'), b'100000001', 1234567890.0123456789,
        '2024-02-29 12:34:56.789012', 1, 'a''b'),
    ('', '', null, null, null, null, null),
    (repeat('Straße 🐘 ', 10000), null, b'0', -0.5, '1970-01-02 00:00:01', 2, 'c,d');
-- Fits into a statement, but not as hexadecimal digits.
insert into t (raw) values (repeat(unhex('00ff27'), 1000000));
insert into t (id) values (100000);
delete from t where id = 100000;
create table `sélect ``from``` (`a b` int, `primary` text character set latin1);
insert into `sélect ``from``` values (1, 'é'), (2, null);
-- Made by those who ask for less.
set sql_mode = 'NO_ZERO_IN_DATE,ANSI_QUOTES';
set innodb_strict_mode = off;
create table "lax" (d date not null default '0000-00-00', v varchar(10)) row_format = fixed;
insert into lax values ('0000-00-00', 'x'), ('2024-00-00', null);
create procedure "of its mode"() select "d" from "lax";
set sql_mode = default;
set innodb_strict_mode = default;
create view z_last as select id, note from t;
create view a_first as select * from z_last where id > 0;
delimiter //
create function doubled(n int) returns int deterministic begin return n * 2; end//
create procedure p(out n int) begin select count(*) into n from t; end//
create trigger touched before insert on parent for each row begin set new.name = coalesce(new.name, 'none'); end//
delimiter ;
create database empty_one character set latin1;
create database other;
-- A database with a quote in its name is more than the tools can stand.
create table other.`it's` (`it's` text);
create table other.numbers (id bigint unsigned primary key, f double);
insert into other.numbers values (18446744073709551615, 1.7976931348623157e308), (0, -0.1);
use other;
delimiter //
create event sweep on schedule every 1 day starts '2037-01-01' on completion preserve do begin delete from numbers where id < 0; end//
delimiter ;
create role reader;
grant select on other.* to reader;
create user app@'%' identified by 'of the application';
grant all on `sh op-é`.* to app@'%';
grant reader to app@'%';
create user 'quo"te'@'10.%' identified by 'it''s "so" \\';
grant select (id, note) on `sh op-é`.t to 'quo"te'@'10.%';
create procedure other.p() select 1;
grant execute on procedure other.p to 'quo"te'@'10.%';
